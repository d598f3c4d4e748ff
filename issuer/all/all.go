// Package all lists the issuer kinds that this module has, for programs that
// want them all. Import single kinds to link no more than you need.
package all

import (
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/issuer"
	"github.com/certctl/certctl/issuer/acme"
	"github.com/certctl/certctl/issuer/local"
	"github.com/certctl/certctl/issuer/script"
	"github.com/certctl/certctl/issuer/stepca"
)

// Kinds lists them.
func Kinds() []connector.Kind[issuer.Issuer] {
	return []connector.Kind[issuer.Issuer]{local.Kind(), acme.Kind(), stepca.Kind(), script.Kind()}
}
