package xmpp

// Push appends to a list that loses its front as it goes.
var Push = push[int]
