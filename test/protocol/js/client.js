// A client on grpc-js, a gRPC of its own (HTTP/2 is Node's): client.js CASE PORT
//
// SERVER has cases for `backlog serve`, by our proto; TEST_SERVICE some for gRPC's TestService (interop_server.c). Each
// is run without and with compression of what is sent.
'use strict';

const assert = require('node:assert');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const repository = path.join(__dirname, '..', '..', '..');
const trigger = { scaler: 'rabbitmq', host: 'amqp://127.0.0.1:1/', queueName: 'orders', mode: 'QueueLength', value: '5' };

function load(file) {
  return grpc.loadPackageDefinition(loader.loadSync(path.join(repository, file), { longs: Number, defaults: true }));
}

function reference(metadata) {
  return { name: 'orders', namespace: 'shop', scalerMetadata: metadata };
}

function inSeconds(seconds) {
  return { deadline: Date.now() + 1000 * seconds };
}

// The answer of a unary call, or its refusal.
function ask(client, method, request, options = inSeconds(10)) {
  return new Promise((resolve) => {
    client[method](request, options, (error, answer) => resolve(error || answer));
  });
}

// What a stream says until it ends; `onData` may end it.
function listen(stream, onData = () => {}) {
  return new Promise((resolve) => {
    const heard = [];
    stream.on('data', (message) => { heard.push(message); onData(message); });
    stream.on('error', () => {}); // the status says the same
    stream.on('status', (status) => resolve({ heard, status }));
  });
}

const SERVER = {
  async allMethods(client) {
    const spec = { metricName: 'rabbitmq-orders', targetSize: 5, targetSizeFloat: 5 };
    const { metricSpecs } = await ask(client, 'GetMetricSpec', reference(trigger));
    assert.deepStrictEqual(metricSpecs, [spec]);

    const wanted = { scaledObjectRef: reference(trigger), metricName: 's0-rabbitmq-orders' };
    for (const refused of [await ask(client, 'GetMetrics', wanted), await ask(client, 'IsActive', reference(trigger))]) {
      assert.strictEqual(refused.code, grpc.status.UNAVAILABLE);
      assert.match(refused.details, /127\.0\.0\.1/);
    }
    const mistaken = await ask(client, 'IsActive', reference({ scaler: 'rabitmq' }));
    assert.strictEqual(mistaken.code, grpc.status.INVALID_ARGUMENT);
    assert.match(mistaken.details, /rabbitmq/);

    const specs = client.StreamMetricSpec(reference(trigger), inSeconds(10));
    const { heard } = await listen(specs, () => specs.cancel());
    assert.deepStrictEqual(heard, [{ metricSpecs: [spec] }]);
    const activity = client.StreamIsActive(reference(trigger), inSeconds(0.5));
    assert.deepStrictEqual((await listen(activity)).heard, []);
  },

  async deadline(client) {
    const began = Date.now();
    const { status } = await listen(client.StreamIsActive(reference(trigger), inSeconds(0.3)));
    assert.strictEqual(status.code, grpc.status.DEADLINE_EXCEEDED);
    assert.ok(Date.now() - began < 5000);
  },

  async cancellation(client) {
    for (let round = 0; round < 50; round++) {
      const stream = client.StreamMetricSpec(reference(trigger), inSeconds(10));
      const { heard, status } = await listen(stream, () => stream.cancel());
      assert.strictEqual(status.code, grpc.status.CANCELLED);
      assert.strictEqual(heard.length, 1);
    }
    assert.strictEqual((await ask(client, 'GetMetricSpec', reference(trigger))).metricSpecs.length, 1);
  },

  async manyCallsAtOnce(client) {
    const calls = Array.from({ length: 500 }, () => ask(client, 'GetMetricSpec', reference(trigger)));
    for (const answer of await Promise.all(calls)) {
      assert.strictEqual(answer.metricSpecs.length, 1);
    }
  },

  async largeMessages(client) {
    const spec = (padding) => ask(client, 'GetMetricSpec', reference({ ...trigger, padding: 'x'.repeat(padding) }));
    assert.strictEqual((await spec(15000)).metricSpecs[0].metricName, 'rabbitmq-orders');
    assert.strictEqual((await spec(1 << 20)).code, grpc.status.RESOURCE_EXHAUSTED);
    assert.strictEqual((await spec(60000)).metricSpecs[0].metricName, 'backlog-invalid');
  },

  async unknownMethod(client) {
    const refused = await new Promise((resolve) => {
      const asIs = (bytes) => bytes;
      client.makeUnaryRequest('/externalscaler.ExternalScaler/Restart', asIs, asIs, Buffer.alloc(0), inSeconds(10),
        (error) => resolve(error));
    });
    assert.strictEqual(refused.code, grpc.status.UNIMPLEMENTED);
  },
};

const TEST_SERVICE = {
  async largeReplies(client) {
    const size = 314159;
    const { answer, status } = await unary(client, Buffer.from('10af9613', 'hex'), new grpc.Metadata()); // response_size
    assert.strictEqual(status.code, grpc.status.OK);
    assert.ok(answer.length > size && answer.length < size + 16);
  },
};

function unary(client, request, metadata) {
  return new Promise((resolve) => {
    const found = {};
    const asIs = (bytes) => bytes;
    const call = client.makeUnaryRequest('/grpc.testing.TestService/UnaryCall', asIs, asIs, request, metadata,
      inSeconds(10), (error, answer) => { found.answer = answer; });
    call.on('metadata', (initial) => { found.initial = initial; });
    call.on('status', (status) => resolve({ ...found, status }));
  });
}

async function main(name, port) {
  const run = SERVER[name] || TEST_SERVICE[name];
  const { ExternalScaler } = load('proto/externalscaler.proto').externalscaler;
  for (const algorithm of [grpc.compressionAlgorithms.identity, grpc.compressionAlgorithms.gzip]) {
    const client = new ExternalScaler(`127.0.0.1:${port}`, grpc.credentials.createInsecure(),
      { 'grpc.default_compression_algorithm': algorithm, 'grpc.enable_http_proxy': 0 });
    await run(client);
    client.close();
  }
}

main(process.argv[2], process.argv[3]).catch((error) => {
  console.error(error);
  process.exit(1);
});
