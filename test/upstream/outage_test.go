package keda

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
)

const (
	objects       = 300 // in each of two ways
	outageSeconds = 20
)

// Problem 1 by chance: KEDA polls every 2 s, and the HPA asks every 3 s. In an operator that is built with
// `overlay --provoked` most objects whose scaler answers with errors lose all workers. The test only counts.
func TestOutage(t *testing.T) {
	away := serve(t, &server{metrics: func() (*pb.GetMetricsResponse, error) { return nil, errAway }})
	held := serve(t, &server{active: true, metrics: func() (*pb.GetMetricsResponse, error) {
		return &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{MetricName: "jobs", MetricValue: 37, MetricValueFloat: 37}}}, nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begin := func(address string) *cluster {
		object := scaledObject(trigger("external", address))
		*object.Spec.PollingInterval = 2
		c := newCluster(t, 8, object)
		go func() {
			time.Sleep(rand.N(3 * time.Second))
			c.start(t, object)
			for ctx.Err() == nil {
				_, _ = c.handler.GetScaledObjectMetrics(ctx, object.Name, namespace, "s0-jobs")
				time.Sleep(3 * time.Second)
			}
		}()
		return c
	}
	var errors, values [objects]*cluster
	for number := range objects {
		errors[number], values[number] = begin(away), begin(held)
	}
	time.Sleep(outageSeconds * time.Second)
	lost := func(found [objects]*cluster) (count int) {
		for _, c := range found {
			if c.replicas.Load() != 8 {
				count++
			}
		}
		return count
	}
	t.Logf("KEDA: of %d each, %d lost their workers by errors and %d by held values", objects, lost(errors), lost(values))
}
