package api

import "time"

// List is one page of a list.
type List[T any] struct {
	Data       []T    `json:"data" nullable:"false"`
	Total      *int64 `json:"total,omitempty" doc:"How many match in all; with page, or when total=true was asked for"`
	Page       int    `json:"page,omitempty" doc:"Set when pages were counted"`
	PerPage    int    `json:"per_page,omitempty" doc:"Set when pages were counted"`
	NextCursor string `json:"next_cursor,omitempty" doc:"Asks for the next page; absent on the last"`
	PageSize   int    `json:"page_size" doc:"The largest number of items of a page"`
}

// ListOptions says which part of a list is wanted, and in which order. Cursors
// are stable while rows come and go; page numbers are not.
type ListOptions struct {
	Cursor   string   `query:"cursor" maxLength:"4096" doc:"next_cursor of the page before; the other parameters must stay the same"`
	PageSize int      `query:"page_size" minimum:"1" maximum:"500" doc:"50 when absent"`
	Page     int      `query:"page" minimum:"1" maximum:"1000000" doc:"Counts pages instead of following cursors"`
	PerPage  int      `query:"per_page" minimum:"1" maximum:"500" doc:"Like page_size, with page"`
	Total    bool     `query:"total" doc:"Count everything that matches, too"`
	Sort     string   `query:"sort" maxLength:"64" doc:"A field of the white list; a leading hyphen turns the order round: -expires_at"`
	SortDesc bool     `query:"sort_desc" doc:"Turns the order round"`
	Fields   []string `query:"fields" doc:"Only these fields of each item, separated by commas"`
}

// Meta is on everything that people edit.
type Meta struct {
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Revision  int64     `json:"revision" doc:"Rises with each change; its ETag is the number in double quotes"`
}

// Actions answer what they have begun.
const (
	StatusRenewalTriggered    = "renewal_triggered"
	StatusDeploymentTriggered = "deployment_triggered"
	StatusRevoked             = "revoked"
	StatusHeld                = "held"
	StatusReleased            = "released"
	StatusDryRun              = "DryRun"
)
