package testserver

// SeeOtherHost makes the server send the stream error see-other-host with a host, host:port, or [IPv6]:port, in the place of stream features:
// [StepFeatures], [StepSecureFeatures], or [StepSessionFeatures]. It does so times times; negative means always, 0 no more.
// A client on WebSocket gets <close see-other-uri=”/> (RFC 7395 §3.6.1) if host is a URI.
func (s *Server) SeeOtherHost(at Step, times int, host string) {}
