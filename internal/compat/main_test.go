package compat

import (
	"os"
	"testing"

	"github.com/go-xmppframework/xmpp/internal/integration"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }
