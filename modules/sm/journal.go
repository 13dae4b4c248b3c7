package sm

type journal struct {
	m       *SM
	storage Storage
}
