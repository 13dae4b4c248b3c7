package sasl

func scramMech(name string, plus bool) Mechanism {
	return Mechanism{Name: name, Binding: plus, New: func(Params) (Client, error) { return nil, ErrUnexpected }}
}

func ScramSHA1() Mechanism       { return scramMech("SCRAM-SHA-1", false) }
func ScramSHA256() Mechanism     { return scramMech("SCRAM-SHA-256", false) }
func ScramSHA512() Mechanism     { return scramMech("SCRAM-SHA-512", false) }
func ScramSHA1Plus() Mechanism   { return scramMech("SCRAM-SHA-1-PLUS", true) }
func ScramSHA256Plus() Mechanism { return scramMech("SCRAM-SHA-256-PLUS", true) }
func ScramSHA512Plus() Mechanism { return scramMech("SCRAM-SHA-512-PLUS", true) }
func Plain() Mechanism           { return Mechanism{Name: "PLAIN", NeedsTLS: true} }
func Anonymous() Mechanism       { return Mechanism{Name: "ANONYMOUS"} }
