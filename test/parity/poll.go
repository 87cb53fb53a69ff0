package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers"
)

const buildersAtATime = 16

// Polled is a trigger with a scaler of its own, as the operator keeps it between two polls.
type polled struct {
	scaler scalers.Scaler
	metric string
}

type pollReport struct {
	Polls  int     `json:"polls"`
	Errors int     `json:"errors"`
	Error  string  `json:"error,omitempty"` // one of them
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
}

// Poll builds all scalers, polls each once, writes "ready", and then polls each once in every period, at a moment of its
// own, for so long. It reads the triggers as questions, up to a null.
func poll(period, duration time.Duration) {
	triggers := buildAll(readQuestions())
	fmt.Println("ready")
	var mutex sync.Mutex
	var report pollReport
	var latencies []time.Duration
	end := time.Now().Add(duration)
	var running sync.WaitGroup
	for _, trigger := range triggers {
		running.Go(func() {
			for at := time.Now().Add(rand.N(period)); at.Before(end); at = at.Add(period) {
				time.Sleep(time.Until(at))
				began := time.Now()
				_, _, err := trigger.scaler.GetMetricsAndActivity(context.Background(), trigger.metric)
				mutex.Lock()
				latencies = append(latencies, time.Since(began))
				if err != nil {
					report.Errors++
					report.Error = err.Error()
				}
				mutex.Unlock()
			}
		})
	}
	running.Wait()
	report.Polls = len(latencies)
	slices.Sort(latencies)
	if len(latencies) > 0 {
		report.P50 = milliseconds(latencies[len(latencies)/2])
		report.P99 = milliseconds(latencies[len(latencies)*99/100])
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // whoever reads this process's CPU time is done at the end of the input
}

func milliseconds(duration time.Duration) float64 {
	return float64(duration) / float64(time.Millisecond)
}

// ReadQuestions reads until a null.
func readQuestions() []question {
	var questions []question
	decoder := json.NewDecoder(os.Stdin)
	for {
		var asked *question
		if err := decoder.Decode(&asked); err != nil {
			log.Fatalf("not a question: %v", err)
		}
		if asked == nil {
			return questions
		}
		questions = append(questions, *asked)
	}
}

func buildAll(questions []question) []polled {
	triggers := make([]polled, len(questions))
	places := make(chan struct{}, buildersAtATime)
	var running sync.WaitGroup
	for i, asked := range questions {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			scaler, err := newScaler(ctx, asked)
			if err != nil {
				log.Fatalf("trigger %d: %v", i, err)
			}
			metric := scaler.GetMetricSpecForScaling(ctx)[0].External.Metric.Name
			if _, _, err := scaler.GetMetricsAndActivity(ctx, metric); err != nil {
				log.Fatalf("trigger %d: %v", i, err)
			}
			triggers[i] = polled{scaler, metric}
		})
	}
	running.Wait()
	return triggers
}
