// helm_server answers `helm template` and `helm lint` again and again in one process: to start helm takes many times as long as to render
// a chart of ours.
//
// A line of standard input is a request, {"words": ["template", "release", "charts/backlog", ...], "input": "...", "folder": "/..."}, with
// the words after `helm`, its standard input and its working folder. A line of standard output is the answer, {"stdout": "...", "stderr":
// "...", "status": 0}. It ends with its standard input.
//
// Flags, values, charts, schemas and templates are read by helm's own packages. The commands, which are not in a package that others can
// import, are those of helm's cmd/helm, template.go and lint.go, for charts in files and without
// --debug. test/charts/test_helm_server.py compares.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/cli/values"
)

type request struct {
	Words  []string `json:"words"`
	Input  string   `json:"input"`
	Folder string   `json:"folder"`
}

type answer struct {
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Status int    `json:"status"`
}

func main() {
	debug.SetGCPercent(1000)     // little of the memory stays in use
	log.SetFlags(log.Lshortfile) // as helm
	requests := json.NewDecoder(bufio.NewReader(os.Stdin))
	answers := json.NewEncoder(os.Stdout)
	for {
		var asked request
		if err := requests.Decode(&asked); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		answered, err := run(asked)
		if err == nil {
			err = answers.Encode(answered)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

// run is one call of helm. An error is one of the server.
func run(asked request) (answer, error) {
	if err := os.Chdir(asked.Folder); err != nil {
		return answer{}, err
	}
	closeInput, err := replaceInput(asked.Input)
	if err != nil {
		return answer{}, err
	}
	defer closeInput()

	var stdout, stderr bytes.Buffer
	log.SetOutput(&stderr)
	defer log.SetOutput(os.Stderr)
	status := 0
	if newCommand(asked.Words, &stdout, &stderr).Execute() != nil {
		status = 1
	}
	return answer{Stdout: stdout.String(), Stderr: stderr.String(), Status: status}, nil
}

// replaceInput lets os.Stdin, from which helm reads the values file `-`, be this text.
func replaceInput(text string) (func(), error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		io.WriteString(writer, text) // fails where nobody reads all of it
		writer.Close()
	}()
	before := os.Stdin
	os.Stdin = reader
	return func() {
		os.Stdin = before
		reader.Close()
	}, nil
}

func newCommand(words []string, stdout, stderr io.Writer) *cobra.Command {
	settings := cli.New()
	command := &cobra.Command{Use: "helm", SilenceUsage: true}
	settings.AddFlags(command.PersistentFlags())
	command.AddCommand(newTemplate(settings, stdout, stderr), newLint(settings, stdout))
	command.SetArgs(words)
	command.SetOut(stdout)
	command.SetErr(stderr)
	return command
}

func addValueFlags(flags *pflag.FlagSet, options *values.Options) {
	flags.StringSliceVarP(&options.ValueFiles, "values", "f", []string{}, "")
	flags.StringArrayVar(&options.Values, "set", []string{}, "")
	flags.StringArrayVar(&options.StringValues, "set-string", []string{}, "")
	flags.StringArrayVar(&options.FileValues, "set-file", []string{}, "")
	flags.StringArrayVar(&options.JSONValues, "set-json", []string{}, "")
	flags.StringArrayVar(&options.LiteralValues, "set-literal", []string{}, "")
}
