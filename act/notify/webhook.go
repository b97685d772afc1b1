package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	"anyu/event"
)

// WebhookOptions say where findings are posted.
type WebhookOptions struct {
	URL     string
	Headers map[string]string // such as Authorization
	Secret  string            // signs the body: X-Anyu-Signature: sha256=HMAC in hex; "" does not
	Client  *http.Client      // nil: a client of its own
	Logger  *slog.Logger
}

// Message is the JSON body that is posted.
type Message struct {
	Version  int           `json:"version"` // 1
	State    string        `json:"state"`   // open or closed
	Severity string        `json:"severity"`
	Text     string        `json:"text"` // all of it in one line, for chats
	Finding  event.Finding `json:"finding"`
}

// NewWebhook posts each finding to a URL. An answer of 2xx is success; 4xx but 408 and 429 is refusal for good.
func NewWebhook(o WebhookOptions) (*Receiver, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, errors.New("webhook: this is no http or https URL")
	}
	client := http.Client{}
	if o.Client != nil {
		client = *o.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	send := func(ctx context.Context, f *event.Finding) error { return post(ctx, &client, &o, f) }
	return newReceiver("webhook "+u.Scheme+"://"+u.Host, o.Logger, send, client.CloseIdleConnections), nil
}

func post(ctx context.Context, client *http.Client, o *WebhookOptions, f *event.Finding) error {
	body, err := json.Marshal(Message{Version: 1, State: state(f), Severity: f.Severity.String(), Text: summary(f), Finding: *f})
	if err != nil {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "anyu")
	for k, v := range o.Headers {
		r.Header.Set(k, v)
	}
	if o.Secret != "" {
		mac := hmac.New(sha256.New, []byte(o.Secret))
		mac.Write(body)
		r.Header.Set("X-Anyu-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	answer, err := client.Do(r)
	if err != nil {
		// Without the URL: the path of a webhook is often its secret, and this ends up in the log.
		if at := new(url.Error); errors.As(err, &at) {
			err = at.Err
		}
		return err
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can be used again
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 400 && code < 500 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		return fmt.Errorf("%w: answered %s", errPermanent, answer.Status)
	default:
		return fmt.Errorf("answered %s", answer.Status)
	}
}
