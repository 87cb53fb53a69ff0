package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
)

const (
	nodeName        = "simulated"
	exitAfter       = "e2e/exit-after" // annotation of a pod: it succeeds after this duration
	heartbeatPeriod = 20 * time.Second
	exitSlack       = 10 * time.Millisecond
)

// runNode simulates a kubelet: one ready node whose pods run, and end, without a container. Only their status changes.
func runNode() {
	flags := flag.NewFlagSet("node", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server, as an administrator")
	flags.Parse(os.Args[1:])
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	check(err)
	config.QPS, config.Burst = 500, 1000
	client, err := kubernetes.NewForConfig(config)
	check(err)
	ctx := context.Background()
	registerNode(ctx, client)
	reportReady(ctx, client)
	go func() {
		for range time.Tick(heartbeatPeriod) {
			reportReady(ctx, client)
		}
	}()
	runPods(ctx, client)
}

func registerNode(ctx context.Context, client kubernetes.Interface) {
	node := &core.Node{ObjectMeta: meta.ObjectMeta{Name: nodeName, Labels: map[string]string{
		"kubernetes.io/os": "linux", "kubernetes.io/hostname": nodeName}}}
	created, err := client.CoreV1().Nodes().Create(ctx, node, meta.CreateOptions{})
	check(err)
	// Admission taints a new node as not ready. The node life cycle controller removes the taint, and does not run here.
	created.Spec.Taints = nil
	_, err = client.CoreV1().Nodes().Update(ctx, created, meta.UpdateOptions{})
	check(err)
}

func reportReady(ctx context.Context, client kubernetes.Interface) {
	capacity := core.ResourceList{
		core.ResourceCPU:    resource.MustParse("10000"),
		core.ResourceMemory: resource.MustParse("100Ti"),
		core.ResourcePods:   resource.MustParse("100000"),
	}
	node, err := client.CoreV1().Nodes().Get(ctx, nodeName, meta.GetOptions{})
	if err == nil {
		now := meta.Now()
		node.Status.Capacity, node.Status.Allocatable = capacity, capacity
		node.Status.Conditions = []core.NodeCondition{{Type: core.NodeReady, Status: core.ConditionTrue,
			Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now}}
		_, err = client.CoreV1().Nodes().UpdateStatus(ctx, node, meta.UpdateOptions{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
	}
}

func runPods(ctx context.Context, client kubernetes.Interface) {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[types.NamespacedName]())
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(
		func(options *meta.ListOptions) { options.FieldSelector = "spec.nodeName=" + nodeName }))
	pods := factory.Core().V1().Pods()
	add := func(object interface{}) {
		if pod, ok := object.(*core.Pod); ok {
			queue.Add(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
		}
	}
	pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: add, UpdateFunc: func(_, object interface{}) { add(object) }})
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	for number := 0; ; {
		key, _ := queue.Get()
		queue.Done(key)
		pod, err := pods.Lister().Pods(key.Namespace).Get(key.Name)
		if err != nil {
			continue // it is gone
		}
		if pod.DeletionTimestamp != nil {
			deletePod(ctx, client, pod)
			continue
		}
		phase, left := phaseOf(pod)
		if left > 0 {
			queue.AddAfter(key, left+exitSlack)
		}
		if pod.Status.Phase == phase || pod.Status.Phase == core.PodSucceeded {
			continue
		}
		number++
		if _, err := client.CoreV1().Pods(key.Namespace).UpdateStatus(ctx, withPhase(pod, phase, number), meta.UpdateOptions{}); err != nil {
			queue.AddRateLimited(key)
			continue
		}
		queue.Forget(key)
	}
}

func deletePod(ctx context.Context, client kubernetes.Interface, pod *core.Pod) {
	atOnce := int64(0)
	client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, meta.DeleteOptions{GracePeriodSeconds: &atOnce,
		Preconditions: &meta.Preconditions{UID: &pod.UID}})
}

// phaseOf returns the phase that a pod should have now, and how long it lasts; 0 is forever.
func phaseOf(pod *core.Pod) (core.PodPhase, time.Duration) {
	duration, _ := time.ParseDuration(pod.Annotations[exitAfter])
	if duration <= 0 {
		return core.PodRunning, 0
	}
	if pod.Status.StartTime == nil {
		return core.PodRunning, duration
	}
	left := time.Until(pod.Status.StartTime.Add(duration))
	if left <= 0 {
		return core.PodSucceeded, 0
	}
	return core.PodRunning, left
}

// withPhase returns a copy with the status that a kubelet would report. number makes its address.
func withPhase(pod *core.Pod, phase core.PodPhase, number int) *core.Pod {
	copy := pod.DeepCopy()
	now := meta.Now()
	status := &copy.Status
	status.Phase = phase
	if status.StartTime == nil {
		status.StartTime = &now
		status.PodIP = fmt.Sprintf("10.%d.%d.%d", 128+number/65536%64, number/256%256, number%256)
		status.PodIPs = []core.PodIP{{IP: status.PodIP}}
		status.HostIP = "127.0.0.1"
	}
	running := phase == core.PodRunning
	status.Conditions = conditions(status.Conditions, running, now)
	status.ContainerStatuses = nil
	started := true
	for _, container := range copy.Spec.Containers {
		state := core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: now}}
		if !running {
			state = core.ContainerState{Terminated: &core.ContainerStateTerminated{Reason: "Completed",
				StartedAt: *status.StartTime, FinishedAt: now}}
		}
		status.ContainerStatuses = append(status.ContainerStatuses, core.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: container.Image,
			ContainerID: "simulated://" + string(pod.UID), Ready: running, Started: &started, State: state})
	}
	return copy
}

// conditions keeps the scheduler's and replaces the kubelet's.
func conditions(had []core.PodCondition, running bool, now meta.Time) []core.PodCondition {
	var all []core.PodCondition
	for _, condition := range had {
		if condition.Type == core.PodScheduled {
			all = append(all, condition)
		}
	}
	ready, reason := core.ConditionTrue, ""
	if !running {
		ready, reason = core.ConditionFalse, "PodCompleted"
	}
	return append(all,
		core.PodCondition{Type: core.PodInitialized, Status: core.ConditionTrue, LastTransitionTime: now},
		core.PodCondition{Type: core.PodReady, Status: ready, Reason: reason, LastTransitionTime: now},
		core.PodCondition{Type: core.ContainersReady, Status: ready, Reason: reason, LastTransitionTime: now})
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}
