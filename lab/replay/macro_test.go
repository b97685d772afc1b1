package replay_test

import (
	"strings"
	"testing"
)

// Macros are tested where they stand: in the lines of a file that is checked.
func TestMacros_workFromLeftToRight(t *testing.T) {
	for _, c := range []struct{ macro, want string }{
		{"${2+3*4}", "20"}, {"${7 / 2}", "3.5"}, {"${10 - 2 - 3}", "5"}, {"${1251100000 + 0.25}", "1251100000.25"},
		{"${$a + ${$a * 2}}", "15"}, {"${range 1 $a 9}", "5"}, {"${time}", "0"},
		{"${ctime 123456}", "Fri Jan  2 10:17:36 1970"}, {"x${$a}y", "x5y"}, {"${-3 + 4}", "1"},
	} {
		text := fwd + "STEP 1 ASSIGN a = 5\nSTEP 2 CHECK_TEMPFILE f\nFILE_BEGIN\nm. 60 IN TXT \"" + c.macro + "\"\nFILE_END\nSCENARIO_END\n"
		text = strings.Replace(text, "CONFIG_END", "TEMPFILE_CONTENTS f\nm. 60 IN TXT \""+c.want+"\"\nTEMPFILE_END\nCONFIG_END", 1)
		expect(t, text, newWalker, true)
		expect(t, strings.Replace(text, c.want, c.want+"0", 1), newWalker, false)
	}
	for _, bad := range []string{"${$b}", "${1 +}", "${range 6 $a 9}", "${range 1 2}", "${(1)}", "${1", "${$a % 2}"} {
		expect(t, fwd+"STEP 1 ASSIGN a = 5\nSTEP 2 ASSIGN b1 = "+bad+"\nSCENARIO_END\n", newWalker, false)
	}
}
