// Package sqlstore keeps what the modules store in one SQL database: a SQLite file, or PostgreSQL.
//
//	db, err := sqlstore.Open(ctx, "account.db", sqlstore.Config{})
//	r := roster.New(roster.Config{Storage: db.Roster()})
//
// One database serves many accounts and, at the same time, several processes. What a call has stored when it returns is there
// after the process was killed at any moment, whole or not at all; SQLite further survives the loss of power with
// Config.Durable, PostgreSQL as it is set up.
//
// It is a module of its own, so that an application that does not need it does not get its drivers: modernc.org/sqlite, which is
// written in Go, and github.com/jackc/pgx.
package sqlstore
