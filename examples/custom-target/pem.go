package main

import (
	"encoding/pem"
	"errors"
)

// cut divides a PEM text into its private key and its certificates.
func cut(text []byte) (key, certs []byte, err error) {
	for rest := text; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type == "CERTIFICATE" {
			certs = append(certs, pem.EncodeToMemory(b)...)
		} else {
			key = append(key, pem.EncodeToMemory(b)...)
		}
	}
	if key == nil || certs == nil {
		err = errors.New("the file lacks a key or a certificate")
	}
	return key, certs, err
}
