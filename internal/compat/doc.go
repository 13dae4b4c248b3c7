// Package compat measures which ways to log in there are at each server, and what each costs in round trips: docs/compatibility.md.
//
// Its tests try every way on every server by the public API, and fail where the page says something else; "make compatibility" writes the page.
package compat
