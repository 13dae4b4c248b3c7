package xmpp

// Piece is where the next piece of a batch ends.
var Piece = piece

// Push appends to a list that loses its front as it goes.
var Push = push[int]
