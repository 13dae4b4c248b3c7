package account

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// ask reads a line from the terminal without showing it, where the terminal can do that.
func ask(prompt string) (string, error) {
	fmt.Print(prompt)
	stty := func(arg string) {
		c := exec.Command("stty", arg)
		c.Stdin = os.Stdin
		_ = c.Run()
	}
	stty("-echo")
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	stty("echo")
	fmt.Println()
	if line = strings.TrimRight(line, "\r\n"); line == "" && err == nil {
		err = errors.New("no password given")
	}
	return line, err
}
