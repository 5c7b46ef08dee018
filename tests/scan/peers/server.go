// A server of crypto/tls with the settings that the test expects: PORT CHAIN KEY.
package main

import (
	"crypto/tls"
	"net/http"
	"os"
)

func main() {
	config := &tls.Config{
		MinVersion:       tls.VersionTLS12,
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP384},
	}
	server := &http.Server{Addr: "127.0.0.1:" + os.Args[1], TLSConfig: config}
	panic(server.ListenAndServeTLS(os.Args[2], os.Args[3]))
}
