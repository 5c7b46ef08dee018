// Peer is crypto/tls of Go as one end of an interop conversation.
//
// "peer server|client FLAGS", as every peer program here: a server prints {"port": N}, both print
// a report as one line of JSON.
package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

var (
	ca              = flag.String("ca", "", "trusted roots, PEM")
	payloadPath     = flag.String("payload", "", "what to send")
	cert            = flag.String("cert", "", "own chain, PEM")
	key             = flag.String("key", "", "own key, PEM")
	_               = flag.String("pkcs12", "", "unused")
	suites          = flag.String("suites", "", "TLS 1.2 only: crypto/tls fixes those of TLS 1.3")
	version         = flag.String("tls", "TLSv1.3", "TLSv1.2 or TLSv1.3")
	_               = flag.String("no-ems", "", "unused: crypto/tls always has it")
	groups          = flag.String("groups", "", "IANA names")
	_               = flag.String("key-shares", "", "unused: crypto/tls chooses")
	alpn            = flag.String("alpn", "", "protocols")
	style           = flag.String("style", "raw", "raw or http")
	rounds          = flag.Int("rounds", 1, "")
	requireCert     = flag.String("require-client-cert", "", "")
	_               = flag.String("update-keys", "", "unused: crypto/tls never starts one")
	exporterLabel   = flag.String("exporter-label", "", "")
	exporterContext = flag.String("exporter-context", "", "hex")
	exporterLength  = flag.Int("exporter-length", 0, "")
	staple          = flag.String("staple", "", "OCSP response to send, DER")
	connections     = flag.Int("connections", 1, "")
	port            = flag.Int("port", 0, "")
	echConfigs      = flag.String("ech-configs", "", "ECHConfigList of a client")
	echConfig       = flag.String("ech-config", "", "ECHConfig of a server")
	echKey          = flag.String("ech-key", "", "its private key, raw")
)

var groupIDs = map[string]tls.CurveID{
	"secp256r1": tls.CurveP256, "secp384r1": tls.CurveP384, "secp521r1": tls.CurveP521,
	"X25519": tls.X25519, "X25519MLKEM768": tls.X25519MLKEM768,
	"SecP256r1MLKEM768": tls.SecP256r1MLKEM768, "SecP384r1MLKEM1024": tls.SecP384r1MLKEM1024,
}

type report struct {
	Received    []string `json:"received"`
	Version     string   `json:"version"`
	Suite       string   `json:"suite"`
	Group       string   `json:"group,omitempty"`
	ALPN        *string  `json:"alpn"`
	HelloRetry  bool     `json:"hello_retry"`
	Resumed     bool     `json:"resumed"`
	Exporter    string   `json:"exporter,omitempty"`
	PeerSubject string   `json:"peer_subject,omitempty"`
	Staple      string   `json:"staple"`
	ECH         bool     `json:"ech"`
	ServerName  string   `json:"server_name"`
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println(runtime.Version())
		return
	}
	role := os.Args[1]
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		fail(err)
	}
	payload, err := os.ReadFile(*payloadPath)
	if err != nil {
		fail(err)
	}
	config, err := configure(role)
	if err != nil {
		fail(err)
	}
	var listener net.Listener
	if role == "server" {
		if listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			fail(err)
		}
		say(map[string]int{"port": listener.Addr().(*net.TCPAddr).Port})
	}
	var received []string
	var found report
	for range *connections {
		var conn *tls.Conn
		if role == "server" {
			conn, err = accept(listener, config)
		} else {
			conn, err = connect(config)
		}
		if err != nil {
			fail(err)
		}
		if received, found, err = converse(conn, role, payload, received); err != nil {
			fail(err)
		}
	}
	say(found)
}

func converse(conn *tls.Conn, role string, payload []byte, received []string) ([]string, report, error) {
	var found report
	_ = conn.SetDeadline(time.Now().Add(25 * time.Second))
	if err := conn.Handshake(); err != nil {
		return nil, found, err
	}
	reader := bufio.NewReaderSize(conn, 1<<16)
	for range *rounds {
		var sum string
		var err error
		if role == "server" {
			sum, err = echo(conn, reader, len(payload))
		} else {
			sum, err = send(conn, reader, payload)
		}
		if err != nil {
			return nil, found, err
		}
		received = append(received, sum)
	}
	found, err := describe(conn, received)
	if err != nil {
		return nil, found, err
	}
	if err := conn.CloseWrite(); err != nil {
		return nil, found, err
	}
	_, _ = io.Copy(io.Discard, reader)
	conn.Close()
	return received, found, nil
}

func connect(config *tls.Config) (*tls.Conn, error) {
	raw, err := net.Dial("tcp4", "127.0.0.1:"+strconv.Itoa(*port))
	if err != nil {
		return nil, err
	}
	return tls.Client(raw, config), nil
}

func accept(listener net.Listener, config *tls.Config) (*tls.Conn, error) {
	raw, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(raw, config), nil
}

func trusted() (*x509.CertPool, error) {
	pem, err := os.ReadFile(*ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool, nil
}

func configure(role string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: "localhost"}
	pool, err := trusted()
	if err != nil {
		return nil, err
	}
	if role == "client" {
		config.RootCAs = pool
		config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	} else if *requireCert != "" {
		config.ClientCAs = pool
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if *echConfigs != "" {
		if config.EncryptedClientHelloConfigList, err = os.ReadFile(*echConfigs); err != nil {
			return nil, err
		}
	}
	if *echConfig != "" {
		known := tls.EncryptedClientHelloKey{SendAsRetry: true}
		if known.Config, err = os.ReadFile(*echConfig); err != nil {
			return nil, err
		}
		if known.PrivateKey, err = os.ReadFile(*echKey); err != nil {
			return nil, err
		}
		config.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{known}
	}
	if *version == "TLSv1.2" {
		config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		all := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
		for _, suite := range all {
			if suite.Name == *suites {
				config.CipherSuites = []uint16{suite.ID}
			}
		}
	}
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return nil, err
		}
		if *staple != "" {
			if pair.OCSPStaple, err = os.ReadFile(*staple); err != nil {
				return nil, err
			}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if *alpn != "" {
		config.NextProtos = strings.Split(*alpn, ",")
	}
	for _, name := range strings.Split(*groups, ",") {
		if id, known := groupIDs[name]; known {
			config.CurvePreferences = append(config.CurvePreferences, id)
		} else if name != "" {
			return nil, fmt.Errorf("crypto/tls has no group %s", name)
		}
	}
	return config, nil
}

func send(conn io.Writer, reader *bufio.Reader, payload []byte) (string, error) {
	if *style == "http" {
		head := "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
		if _, err := fmt.Fprintf(conn, head, len(payload)); err != nil {
			return "", err
		}
	}
	if _, err := conn.Write(payload); err != nil {
		return "", err
	}
	if *style == "http" {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(response.Body)
		return digest(body), err
	}
	body := make([]byte, len(payload))
	_, err := io.ReadFull(reader, body)
	return digest(body), err
}

func echo(conn io.Writer, reader *bufio.Reader, size int) (string, error) {
	var body []byte
	var err error
	if *style == "http" {
		request, failure := http.ReadRequest(reader)
		if failure != nil {
			return "", failure
		}
		if request.Header.Get("Expect") != "" {
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		body, err = io.ReadAll(request.Body)
		if err == nil {
			_, err = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
		}
	} else {
		body = make([]byte, size)
		_, err = io.ReadFull(reader, body)
	}
	if err != nil {
		return "", err
	}
	_, err = conn.Write(body)
	return digest(body), err
}

func describe(conn *tls.Conn, received []string) (report, error) {
	state := conn.ConnectionState()
	found := report{
		Received:   received,
		Version:    tls.VersionName(state.Version),
		Suite:      tls.CipherSuiteName(state.CipherSuite),
		Group:      group(state),
		HelloRetry: state.HelloRetryRequest,
		Resumed:    state.DidResume,
		ECH:        state.ECHAccepted,
		ServerName: state.ServerName,
	}
	if len(state.OCSPResponse) > 0 {
		found.Staple = digest(state.OCSPResponse)
	}
	if state.NegotiatedProtocol != "" {
		found.ALPN = &state.NegotiatedProtocol
	}
	if len(state.PeerCertificates) > 0 {
		found.PeerSubject = state.PeerCertificates[0].Subject.CommonName
	}
	if *exporterLabel != "" {
		context, err := hex.DecodeString(*exporterContext)
		if err != nil {
			return found, err
		}
		exported, err := state.ExportKeyingMaterial(*exporterLabel, context, *exporterLength)
		if err != nil {
			return found, err
		}
		found.Exporter = hex.EncodeToString(exported)
	}
	return found, nil
}

func group(state tls.ConnectionState) string {
	if state.CurveID == 0 {
		return ""
	}
	return state.CurveID.String()
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func fail(err error) {
	say(map[string]string{"error": err.Error()})
	os.Exit(1)
}
