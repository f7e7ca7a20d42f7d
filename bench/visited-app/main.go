// The app of test/support/visited-app.ts, compiled: one that needs no warming up, so that its own first steps are not
// counted as the platform's. /small?n=7 answers 1 KB that names the release and the number, /stream?seconds=20 sends a
// numbered event a second, /ws echoes short WebSocket messages. It ends at once when it is told to.
package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const smallBytes = 1024

var began = time.Now()

func main() {
	release := os.Getenv("FORGE_RELEASE")
	text, _ := os.ReadFile("/text")
	startMs := 0.0
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() { <-ended; os.Exit(0) }()

	http.HandleFunc("/small", func(w http.ResponseWriter, r *http.Request) {
		head := release + " " + r.URL.Query().Get("n") + " "
		io.WriteString(w, head+strings.Repeat(".", smallBytes-len(head)))
	})
	http.HandleFunc("/facts", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"release": release, "color": os.Getenv("COLOR"), "startMs": startMs, "text": string(text)})
	})
	http.HandleFunc("/stream", stream)
	http.HandleFunc("/ws", echo)
	startMs = float64(time.Since(began).Microseconds()) / 1000
	if err := http.ListenAndServe(":"+os.Getenv("PORT"), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func stream(w http.ResponseWriter, r *http.Request) {
	seconds, _ := strconv.Atoi(r.URL.Query().Get("seconds"))
	w.Header().Set("content-type", "text/event-stream")
	for sent := 0; sent <= seconds; sent++ {
		if sent > 0 {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Second):
			}
		}
		fmt.Fprintf(w, "data: %d\n\n", sent)
		w.(http.Flusher).Flush()
	}
	io.WriteString(w, "event: end\n\n")
}

// echo speaks as much of RFC 6455 as the visitors do: short masked frames.
func echo(w http.ResponseWriter, r *http.Request) {
	key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, pipe, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(key[:]))
	for {
		frame, err := readFrame(pipe.Reader)
		if err != nil {
			return
		}
		if _, err := conn.Write(frame); err != nil || frame[0]&0x0f == 8 {
			return
		}
	}
}

func readFrame(from *bufio.Reader) ([]byte, error) {
	head := make([]byte, 6)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	frame := make([]byte, 2+int(head[1]&0x7f))
	frame[0], frame[1] = head[0], head[1]&0x7f
	if _, err := io.ReadFull(from, frame[2:]); err != nil {
		return nil, err
	}
	for at := range frame[2:] {
		frame[2+at] ^= head[2+at%4]
	}
	return frame, nil
}
