// An external scaler as one writes it with grpc-go: a thousand triggers in a map, and the values that
// Backlog's own triggers have in the same benchmark. It measures nothing, so the wire is all it costs.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "backlog/bench/peers/go/externalscaler"
)

type trigger struct {
	jobs    int64
	changed chan struct{} // closed when jobs change
}

type scaler struct {
	pb.UnimplementedExternalScalerServer
	lock     sync.RWMutex
	triggers map[string]*trigger // by queueName
}

const target = 5

func newScaler(count int) *scaler {
	s := &scaler{triggers: make(map[string]*trigger, count)}
	for number := range count {
		s.triggers[fmt.Sprintf("queue-%04d", number)] = &trigger{int64(number % 3), make(chan struct{})}
	}
	return s
}

func (s *scaler) find(ref *pb.ScaledObjectRef) (trigger, error) {
	queue := ref.GetScalerMetadata()["queueName"]
	s.lock.RLock()
	defer s.lock.RUnlock()
	if found := s.triggers[queue]; found != nil {
		return *found, nil
	}
	return trigger{}, status.Errorf(codes.NotFound, "there is no queue %q", queue)
}

func (s *scaler) set(queue string, jobs int64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	found := s.triggers[queue]
	found.jobs = jobs
	close(found.changed)
	found.changed = make(chan struct{})
}

func (s *scaler) IsActive(_ context.Context, ref *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	found, err := s.find(ref)
	if err != nil {
		return nil, err
	}
	return &pb.IsActiveResponse{Result: found.jobs > 0}, nil
}

func (s *scaler) StreamIsActive(ref *pb.ScaledObjectRef, stream pb.ExternalScaler_StreamIsActiveServer) error {
	for {
		found, err := s.find(ref)
		if err != nil {
			return err
		}
		if found.jobs > 0 {
			if err := stream.Send(&pb.IsActiveResponse{Result: true}); err != nil {
				return err
			}
		}
		select {
		case <-found.changed:
		case <-stream.Context().Done():
			return nil
		}
	}
}

func (s *scaler) GetMetricSpec(_ context.Context, ref *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	return &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{
		MetricName:      "rabbitmq-" + ref.GetScalerMetadata()["queueName"],
		TargetSize:      target,
		TargetSizeFloat: target,
	}}}, nil
}

func (s *scaler) GetMetrics(_ context.Context, request *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	found, err := s.find(request.GetScaledObjectRef())
	if err != nil {
		return nil, err
	}
	return &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{
		MetricName:       request.GetMetricName(),
		MetricValue:      found.jobs,
		MetricValueFloat: float64(found.jobs),
	}}}, nil
}

// SIGUSR1 is the message that arrives in the first queue.
func (s *scaler) fillOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	for range signals {
		s.set("queue-0000", 1)
	}
}

func main() {
	address := flag.String("listen", "127.0.0.1:0", "address and port")
	flag.Parse()
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	s := newScaler(1000)
	go s.fillOnSignal()
	server := grpc.NewServer()
	pb.RegisterExternalScalerServer(server, s)
	log.Printf("grpc-go %s listening on %s", grpc.Version, listener.Addr())
	log.Fatal(server.Serve(listener))
}
