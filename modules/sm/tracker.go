package sm

type tracker struct{}
