// Judge gives each hello on standard input, four bytes of length before it, to a server of
// crypto/tls, and prints what the server said first: "answered", "alert N" or "silent".
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// wire brings the hello and then the end, and keeps what is written.
type wire struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (w *wire) Read(b []byte) (int, error)         { return w.in.Read(b) }
func (w *wire) Write(b []byte) (int, error)        { return w.out.Write(b) }
func (w *wire) Close() error                       { return nil }
func (w *wire) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (w *wire) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (w *wire) SetDeadline(t time.Time) error      { return nil }
func (w *wire) SetReadDeadline(t time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(t time.Time) error { return nil }

func judge(config *tls.Config, hello []byte) string {
	w := &wire{in: bytes.NewReader(hello)}
	tls.Server(w, config).Handshake()
	said := w.out.Bytes()
	switch {
	case len(said) == 0:
		return "silent"
	case said[0] == 21 && len(said) >= 7:
		return fmt.Sprintf("alert %d", said[6])
	default:
		return "answered"
	}
}

func main() {
	certificate, err := tls.LoadX509KeyPair(os.Args[1], os.Args[2])
	if err != nil {
		panic(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true}
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		var size uint32
		if binary.Read(in, binary.BigEndian, &size) != nil {
			return
		}
		hello := make([]byte, size)
		if _, err := io.ReadFull(in, hello); err != nil {
			return
		}
		fmt.Fprintln(out, judge(config, hello))
		out.Flush()
	}
}
