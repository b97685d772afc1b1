package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
)

// Difference is the SHA-256 (hexadecimal) of a configuration with all its values, and the keys, two levels deep, whose values are others than in
// the old one; none where old is nil. It tells no values: some are secrets.
func Difference(old, now *Config) (sum string, changed []string) {
	h := sha256.New()
	before := reflect.Value{}
	if old != nil {
		before = reflect.ValueOf(*old)
	}
	each("", reflect.ValueOf(*now), before, 2, func(key string, value, was reflect.Value) {
		text := plain(value)
		fmt.Fprintf(h, "%s=%s\n", key, text)
		if was.IsValid() && plain(was) != text {
			changed = append(changed, key)
		}
	})
	return hex.EncodeToString(h.Sum(nil)), changed
}

// each calls f with the keys of a struct, down to a depth.
func each(prefix string, value, was reflect.Value, depth int, f func(key string, value, was reflect.Value)) {
	for i := range value.NumField() {
		field := value.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		var then reflect.Value
		if was.IsValid() {
			then = was.Field(i)
		}
		if v := value.Field(i); v.Kind() == reflect.Struct && depth > 1 {
			each(prefix+name+".", v, then, depth-1, f)
		} else {
			f(prefix+name, v, then)
		}
	}
}

// plain is a value as text, secrets included, pointers followed.
func plain(v reflect.Value) string {
	var b strings.Builder
	write(&b, v)
	return b.String()
}

func write(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		write(b, v.Elem())
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			write(b, v.Index(i))
			b.WriteByte(',')
		}
	case reflect.Struct:
		if s, ok := v.Interface().(fmt.Stringer); ok {
			fmt.Fprintf(b, "%q", s.String())
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fmt.Fprintf(b, "%s=", v.Type().Field(i).Name)
				write(b, v.Field(i))
				b.WriteByte(';')
			}
		}
	case reflect.String:
		fmt.Fprintf(b, "%q", v.String())
	default:
		fmt.Fprint(b, v)
	}
}
