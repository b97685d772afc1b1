package config

import (
	"slices"
	"testing"
)

func TestDifference_namesKeysAndNoValues(t *testing.T) {
	read := func(text string) *Config {
		c, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a := read("node: ns1\nlog: {days: 200}\nkeys: [{name: k, secret: c2VjcmV0c2VjcmV0c2VjcmV0}]\n")
	b := read("node: ns1\nlog: {days: 201}\nkeys: [{name: k, secret: b3RoZXJvdGhlcm90aGVyb3Ro}]\n")
	first, none := Difference(nil, a)
	second, changed := Difference(a, b)
	if first == second || !slices.Equal(changed, []string{"log.days", "keys"}) {
		t.Errorf("%s %s %v", first, second, changed)
	}
	if none != nil {
		t.Errorf("%v", none)
	}
	if again, none := Difference(a, read("node: ns1\nlog: {days: 200}\nkeys: [{name: k, secret: c2VjcmV0c2VjcmV0c2VjcmV0}]\n")); again != first || none != nil {
		t.Errorf("%s %v", again, none)
	}
}
