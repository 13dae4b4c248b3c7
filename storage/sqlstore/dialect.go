package sqlstore

import (
	"database/sql"
	"strconv"
	"strings"
)

// dialect is what SQLite and PostgreSQL do not have in common. All statements number their parameters, $1, $2 …, which both know,
// but those of many rows.
type dialect struct {
	name  string
	bytes string // the type of a column of bytes
	order string // what keeps the rows of a table in the order of its key, so that those of an account are beside each other
	lock  string // what a migration begins with, so that it is alone; empty if the transaction is alone anyway
	plain bool   // "?" is a parameter; SQLite takes "$1" for a name, and looks for it in a list
	// snapshot makes a transaction that reads see one state, and change one that changes see what those before it have done,
	// whatever the database has for a default. SQLite's do so by themselves.
	snapshot, change sql.IsolationLevel
	// again reports whether an error at the beginning of a transaction, or of a statement that only reads, says nothing of the next one.
	again func(error) bool
}

var (
	sqliteDialect   = dialect{name: "sqlite", bytes: "BLOB", order: "WITHOUT ROWID", plain: true, again: isBusy}
	postgresDialect = dialect{
		name: "postgres", bytes: "BYTEA", lock: "SELECT pg_advisory_xact_lock(5222198)",
		snapshot: sql.LevelRepeatableRead, change: sql.LevelReadCommitted, again: isStale,
	}
)

func (d *dialect) isPostgres() bool { return d.name == postgresDialect.name }

func (d *dialect) schema(sql string) string {
	return strings.NewReplacer("BYTES", d.bytes, "CLUSTERED", d.order).Replace(sql)
}

// values appends ($1, $2), ($3, $4) … for so many rows of so many columns.
func (d *dialect) values(b *strings.Builder, rows, columns int) {
	n := 0
	for row := range rows {
		if row > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for column := range columns {
			if column > 0 {
				b.WriteByte(',')
			}
			if d.plain {
				b.WriteByte('?')
				continue
			}
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		}
		b.WriteByte(')')
	}
}
