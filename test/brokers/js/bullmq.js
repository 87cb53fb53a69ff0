// A queue of BullMQ for the tests, on the library itself: node bullmq.js MODULE PORT QUEUE. Each line of stdin is a JSON list,
// the name of a function below and its arguments; each is answered by a line with its result.

const readline = require("node:readline");
const { createRequire } = require("node:module");

const [module_name, port, name] = process.argv.slice(2);
const { Queue, Worker } = createRequire(`${process.cwd()}/`)(module_name);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const queue = new Queue(name, { connection });
const worker = new Worker(name, null, { connection, autorun: false });
const taken = [];

async function take() {
    const job = await worker.getNextJob("token", { block: false });
    if (job === undefined) throw new Error("there is no job");
    taken.push(job);
}

const functions = {
    add: async (options) => {
        await queue.add("job", {}, options);
    },
    pause: () => queue.pause(),
    resume: () => queue.resume(),
    counts: () => queue.getJobCounts(),
    take,
    complete: () => taken.pop().moveToCompleted("done", "token", false),
    delay: (ms) => taken.pop().moveToDelayed(Date.now() + ms, "token"),

    // A job that is waiting: active, delayed although it is due, and waiting again.
    circle: async (times) => {
        for (let i = 0; i < times; i++) {
            await take();
            await functions.delay(0);
        }
    },
};

async function main() {
    await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const [called, ...words] = JSON.parse(line);
        console.log(JSON.stringify((await functions[called](...words)) ?? null));
    }
    await Promise.all([queue.close(), worker.close()]);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
