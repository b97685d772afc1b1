package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// askLogin sends people to the form and tells programs what they need.
func (c *Console) askLogin(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	if r.Header.Get("Sec-Fetch-Mode") == "" { // a browser would open a window of its own
		w.Header().Set("WWW-Authenticate", `Basic realm="anyu", charset="UTF-8"`)
	}
	plain(w, http.StatusUnauthorized, "log in, or send user and password of a console account (HTTP Basic)\n")
}

type loginView struct {
	*page
	Next, Name, Error string
}

func (c *Console) loginForm(p *page) error {
	p.Title = p.T("login.title")
	return p.show("login", http.StatusOK, loginView{page: p, Next: local(p.r.URL.Query().Get("next"))})
}

// local keeps a redirection on this site.
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n") {
		return "/"
	}
	return path
}

func (c *Console) login(p *page) error {
	if !c.tokenRight(p.r) {
		return &httpError{http.StatusForbidden, "error.token"}
	}
	name, password := p.r.PostFormValue("name"), p.r.PostFormValue("password")
	next := local(p.r.PostFormValue("next"))
	right, wait := c.check(name, password, remote(p.r), p.now)
	if right {
		c.sessions.end(c.sessionSecret(p.r)) // a session never survives a login (session fixation)
		c.setSession(p.w, c.sessions.start(name, time.Now()), sessionLife)
		c.opts.Log.Info("console login", "user", name, "client", remote(p.r))
		c.audit(p, "login", map[string]string{"account": name})
		http.Redirect(p.w, p.r, next, http.StatusSeeOther)
		return nil
	}
	c.opts.Log.Warn("console login failed", "user", name, "client", remote(p.r), "slowed_down", wait > 0)
	if wait == 0 { // not each of a flood
		c.audit(p, "login-failed", map[string]string{"account": name})
	}
	p.Title = p.T("login.title")
	view := loginView{page: p, Next: next, Name: name, Error: p.T("login.wrong")}
	status := http.StatusUnauthorized
	if wait > 0 {
		status = http.StatusTooManyRequests
		view.Error = p.T("login.wait", "seconds", int(wait/time.Second)+1)
	}
	return p.show("login", status, view)
}

func (c *Console) logout(p *page) error {
	if !c.tokenRight(p.r) {
		return &httpError{http.StatusForbidden, "error.token"}
	}
	c.audit(p, "logout", nil)
	c.sessions.end(c.sessionSecret(p.r))
	c.setSession(p.w, "", -time.Second)
	http.Redirect(p.w, p.r, "/login", http.StatusSeeOther)
	return nil
}
