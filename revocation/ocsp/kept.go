package ocsp

import (
	"encoding/binary"
	"math"
	"math/big"
	"time"

	"github.com/certctl/certctl/revocation"
)

// kept is what the source said of one certificate, and the signed answer
// without the certificates at its end, which all answers of a signer share. It
// is kept as octets: at a hundred thousand answers, each object and pointer
// would be one more wait for memory.
type kept struct {
	answer Answer // Serial is not kept: the CertID has it
	tail   uint32 // which certificates come after head; see cache.tails
	head   []byte // empty when nobody asked without a nonce yet
}

// keptFixed is how many octets come before head.
const keptFixed = 5*8 + 4 + 4

// never stands for a time that is not set.
const never = math.MinInt64

func putTime(b []byte, t time.Time) {
	n := int64(never)
	if !t.IsZero() {
		n = t.UnixNano()
	}
	binary.LittleEndian.PutUint64(b, uint64(n))
}

func getTime(b []byte) time.Time {
	n := int64(binary.LittleEndian.Uint64(b))
	if n == never {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func (k *kept) append(b []byte) []byte {
	var fixed [keptFixed]byte
	putTime(fixed[0:], k.answer.ThisUpdate)
	putTime(fixed[8:], k.answer.NextUpdate)
	putTime(fixed[16:], k.answer.Status.At)
	putTime(fixed[24:], k.answer.Status.Invalid)
	putTime(fixed[32:], k.answer.Status.NotAfter)
	binary.LittleEndian.PutUint32(fixed[40:], k.tail)
	fixed[44], fixed[45] = byte(k.answer.Status.State), byte(k.answer.Status.Reason)
	return append(append(b, fixed[:]...), k.head...)
}

// nextUpdateOf reads from the octets of a kept answer until when it holds.
func nextUpdateOf(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b[8:])) }

// refreshAfter is from when on to ask again: the middle of its life.
func refreshAfter(b []byte) int64 {
	from, to := int64(binary.LittleEndian.Uint64(b)), nextUpdateOf(b)
	return from + (to-from)/2
}

func readKept(b []byte, serial *big.Int) kept {
	k := kept{tail: binary.LittleEndian.Uint32(b[40:]), head: b[keptFixed:]}
	k.answer = Answer{Serial: serial, ThisUpdate: getTime(b), NextUpdate: getTime(b[8:])}
	k.answer.Status = revocation.Status{
		State: revocation.State(b[44]), Reason: revocation.Reason(b[45]),
		At: getTime(b[16:]), Invalid: getTime(b[24:]), NotAfter: getTime(b[32:]),
	}
	return k
}
