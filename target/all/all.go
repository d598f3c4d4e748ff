// Package all lists the target kinds that this module has, for programs that
// want them all. Import single kinds to link no more than you need.
package all

import (
	"github.com/certctl/certctl/certctl/connector"
	"github.com/certctl/certctl/target"
	"github.com/certctl/certctl/target/files"
	"github.com/certctl/certctl/target/nginx"
)

// Kinds lists them.
func Kinds() []connector.Kind[target.Target] {
	return []connector.Kind[target.Target]{files.Kind(), nginx.Kind()}
}
