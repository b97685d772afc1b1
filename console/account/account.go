// Package account keeps the accounts of the console in one file, users.json.
//
// It promises: a password is kept as argon2id with a salt of its own and never in clear; the file is replaced whole and is
// readable by its owner only; a check takes the same work whether the user exists or not; a change by another process (anyu
// user add beside a running node) is seen at the next check. It refuses weak input: short passwords and names that would
// be mistaken for something else in a log.
//
// Limits today: no roles, no second factor; every account may do everything the console offers.
package account

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	minPassword = 10   // characters
	maxPassword = 1024 // octets (stops: hashing megabytes that somebody posts)
	maxFile     = 1 << 20
)

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// User is one account without its secret.
type User struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"` // of the password
}

type entry struct {
	User
	Password string `json:"password"` // argon2id, see hash
}

// ErrNoUser says that there is no such account.
var ErrNoUser = errors.New("there is no such user")

// Store is the file with the accounts. All methods may be called from any goroutine.
type Store struct {
	path string

	mu   sync.Mutex
	seen stamp
	list []entry
}

// stamp tells whether the file changed.
type stamp struct {
	size  int64
	mod   time.Time
	inode uint64
}

// Open reads the accounts in a file, which need not exist yet.
func Open(path string) (*Store, error) {
	s := &Store{path: path}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.refresh()
}

// refresh reads the file again if it changed. On an error what was known stays, so that nobody is let in by a damaged file.
func (s *Store) refresh() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		s.seen, s.list = stamp{}, nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	now := stamp{size: info.Size(), mod: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		now.inode = st.Ino
	}
	if now == s.seen {
		return nil
	}
	if info.Size() > maxFile {
		return fmt.Errorf("reading accounts: %s has %d octets, at most %d", s.path, info.Size(), maxFile)
	}
	b, err := os.ReadFile(s.path)
	if err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	var list []entry
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("reading accounts: %s: %w", s.path, err)
	}
	s.seen, s.list = now, list
	return nil
}

// Any tells whether there is an account at all. Where the file cannot be read it says yes: then a login is asked for.
func (s *Store) Any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refresh() != nil || len(s.list) > 0
}

// List gives the accounts by name.
func (s *Store) List() ([]User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, err
	}
	var users []User
	for _, e := range s.list {
		users = append(users, e.User)
	}
	slices.SortFunc(users, func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	return users, nil
}

// Has tells whether an account still exists and when its password was last changed.
func (s *Store) Has(name string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refresh() != nil {
		return User{}, false
	}
	if i := s.index(name); i >= 0 {
		return s.list[i].User, true
	}
	return User{}, false
}

func (s *Store) index(name string) int {
	return slices.IndexFunc(s.list, func(e entry) bool { return e.Name == name })
}

// Check tells whether a name and a password belong together.
func (s *Store) Check(name, password string) bool {
	s.mu.Lock()
	err := s.refresh()
	stored := unknown
	if i := s.index(name); err == nil && i >= 0 {
		stored = s.list[i].Password
	}
	s.mu.Unlock()
	right := matches(stored, password) // also for unknown names: the time must not tell who exists
	return right && stored != unknown
}

// Set adds an account, or gives one that exists a new password; added tells which.
func (s *Store) Set(name, password string, now time.Time) (added bool, err error) {
	if !validName.MatchString(name) {
		return false, fmt.Errorf("%q is no user name: use 1 to 64 of a-z A-Z 0-9 . _ @ -, beginning with a letter or digit", name)
	}
	if utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword {
		return false, fmt.Errorf("the password needs at least %d characters, and at most %d octets", minPassword, maxPassword)
	}
	hashed := hash(password)
	err = s.change(func(list []entry) ([]entry, error) {
		for i := range list {
			if list[i].Name == name {
				list[i].Password, list[i].Changed = hashed, now.UTC()
				return list, nil
			}
		}
		added = true
		return append(list, entry{User{name, now.UTC(), now.UTC()}, hashed}), nil
	})
	return added, err
}

// Remove deletes an account.
func (s *Store) Remove(name string) error {
	return s.change(func(list []entry) ([]entry, error) {
		kept := slices.DeleteFunc(list, func(e entry) bool { return e.Name == name })
		if len(kept) == len(list) {
			return nil, fmt.Errorf("%w: %s", ErrNoUser, name)
		}
		return kept, nil
	})
}

// change reads, changes and replaces the file, alone among processes.
func (s *Store) change(edit func([]entry) ([]entry, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(s.path), 0o750); err != nil {
		return fmt.Errorf("writing accounts: %w", err)
	}
	lock, err := os.OpenFile(s.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("writing accounts: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("writing accounts: %w", err)
	}
	if err := s.refresh(); err != nil {
		return err
	}
	list, err := edit(slices.Clone(s.list))
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("writing accounts: %w", err)
	}
	if err := replace(s.path, append(b, '\n')); err != nil {
		return err
	}
	s.seen = stamp{}
	return s.refresh()
}

// replace writes a file so that a crash leaves the old or the new one.
func replace(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".users-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing accounts: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing accounts: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing accounts: %w", err)
	}
	defer dir.Close()
	return dir.Sync() // the rename survives a power cut
}
