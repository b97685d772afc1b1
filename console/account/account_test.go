package account_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"anyu/console/account"
)

const password = "correct horse 电池"

var day = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)

func open(t *testing.T) (*account.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data", "users.json")
	s, err := account.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s, path
}

func set(t *testing.T, s *account.Store, name, password string) {
	t.Helper()
	if _, err := s.Set(name, password, day); err != nil {
		t.Fatal(err)
	}
}

func TestCheck_letsInWhoKnowsThePassword(t *testing.T) {
	s, _ := open(t)
	if s.Any() {
		t.Error("there is an account before the first was made")
	}
	set(t, s, "lin", password)
	for _, c := range []struct {
		name, password string
		want           bool
	}{
		{"lin", password, true}, {"lin", password + "x", false}, {"lin", "", false}, {"Lin", password, false}, {"nobody", password, false},
		{"nobody", "", false}, {"lin", strings.Repeat("x", 5000), false},
	} {
		if got := s.Check(c.name, c.password); got != c.want {
			t.Errorf("Check(%q, %q) is %v", c.name, c.password, got)
		}
	}
}

func TestSet_keepsNoPasswordAndOthersOut(t *testing.T) {
	s, path := open(t)
	set(t, s, "lin", password)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), password) || !strings.Contains(string(b), "$argon2id$") {
		t.Errorf("the file holds %s", b)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
}

func TestSet_refusesWeakInput(t *testing.T) {
	s, _ := open(t)
	for _, c := range [][2]string{{"lin", "short"}, {"", password}, {"a b", password}, {"../x", password}, {"-x", password}, {"lin", strings.Repeat("x", 2000)}} {
		if _, err := s.Set(c[0], c[1], day); err == nil {
			t.Errorf("Set(%q, %q) was accepted", c[0], c[1])
		}
	}
}

func TestStore_seesChangesOfAnotherProcess(t *testing.T) {
	running, path := open(t)
	beside, err := account.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	set(t, beside, "lin", password)
	if !running.Any() || !running.Check("lin", password) {
		t.Error("an account added beside is not seen")
	}
	set(t, beside, "lin", "another password")
	if running.Check("lin", password) || !running.Check("lin", "another password") {
		t.Error("a changed password is not seen")
	}
	if err := beside.Remove("lin"); err != nil {
		t.Fatal(err)
	}
	if running.Any() || running.Check("lin", "another password") {
		t.Error("a removed account is still let in")
	}
	if err := beside.Remove("lin"); !errors.Is(err, account.ErrNoUser) {
		t.Errorf("removing it again: %v", err)
	}
}

func TestStore_losesNobodyUnderConcurrentChanges(t *testing.T) {
	_, path := open(t)
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			s, err := account.Open(path)
			if err == nil {
				_, err = s.Set(name, password, day)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, _ := account.Open(path)
	if list, err := s.List(); err != nil || len(list) != 4 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestStore_damagedFileLetsNobodyIn(t *testing.T) {
	s, path := open(t)
	set(t, s, "lin", password)
	if err := os.WriteFile(path, []byte(`[{"name":"lin","password":"$argon2id$v=19$m=1`), 0o600); err != nil {
		t.Fatal(err)
	}
	if !s.Any() {
		t.Error("a damaged file opens the console to everybody")
	}
	if s.Check("lin", password) {
		t.Error("a login against a damaged file was let in")
	}
}
