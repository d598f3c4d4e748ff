package store

import (
	"reflect"
	"sync"
	"time"
)

// stamp is a time as both databases keep it: UTC, microseconds.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	timeFields sync.Map // reflect.Type → [][]int: a cache of what reflection finds
)

// normalise stamps every time of a row, on its way in and out: drivers return
// them in the local zone.
func normalise(row any) {
	v := reflect.ValueOf(row).Elem()
	for _, i := range timesOf(v.Type()) {
		f := v.FieldByIndex(i)
		f.Set(reflect.ValueOf(stamp(f.Interface().(time.Time))))
	}
}

func timesOf(t reflect.Type) [][]int {
	if known, ok := timeFields.Load(t); ok {
		return known.([][]int)
	}
	var out [][]int
	for _, f := range reflect.VisibleFields(t) {
		if f.Type == timeType {
			out = append(out, f.Index)
		}
	}
	timeFields.Store(t, out)
	return out
}
