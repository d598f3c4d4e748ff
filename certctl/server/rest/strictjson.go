package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/certctl/certctl/certctl/api"
)

// maxDepth of nested objects and arrays in a body.
const maxDepth = 32

// checkJSON refuses bodies on whose meaning two readers might differ: names
// that come twice, text after the end, broken UTF-8; and NUL, which databases
// do not store. Nothing of the body is repeated in the answer but names.
func checkJSON(body []byte) *failure {
	if !utf8.Valid(body) {
		return problem(http.StatusBadRequest, api.CodeMalformed, "the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	c := jsonCheck{d: d}
	err := c.value("", 0)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return problem(http.StatusBadRequest, api.CodeMalformed, "the body goes on after its JSON text")
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return problem(http.StatusBadRequest, api.CodeMalformed, fmt.Sprintf("the body is not JSON; the mistake is at or before byte %d", d.InputOffset()))
}

type jsonCheck struct{ d *json.Decoder }

func (c *jsonCheck) value(path string, depth int) error {
	token, err := c.d.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string:
		return checkText(path, token)
	case json.Number:
		if _, err := token.Float64(); err != nil {
			return invalid(or(path, "body"), "is a number out of range")
		}
		return nil
	case json.Delim:
		if depth >= maxDepth {
			return problem(http.StatusBadRequest, api.CodeMalformed, fmt.Sprintf("the body is nested deeper than %d levels", maxDepth))
		}
		if token == '{' {
			return c.object(path, depth)
		}
		return c.array(path, depth)
	}
	return nil
}

func (c *jsonCheck) object(path string, depth int) error {
	seen := map[string]bool{}
	for c.d.More() {
		token, err := c.d.Token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok {
			return io.ErrUnexpectedEOF
		}
		at := clip(strings.TrimPrefix(path+"."+name, "."), 200)
		if err := checkText(path, name); err != nil {
			return err
		}
		if seen[name] {
			return problem(http.StatusBadRequest, api.CodeMalformed, at+" is there more than once", api.FieldProblem{Field: at, Message: "is there more than once"})
		}
		seen[name] = true
		if err := c.value(at, depth+1); err != nil {
			return err
		}
	}
	_, err := c.d.Token()
	return err
}

func (c *jsonCheck) array(path string, depth int) error {
	for i := 0; c.d.More(); i++ {
		if err := c.value(fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	_, err := c.d.Token()
	return err
}

func checkText(path, text string) error {
	if strings.ContainsRune(text, 0) {
		return invalid(or(path, "body"), "contains a NUL character")
	}
	return nil
}
