package xmpp

// Piece is where the next piece of a batch ends.
var Piece = piece
