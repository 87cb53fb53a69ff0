// Talks to NATS over WebSocket: a request has an id, and its response or its error has the same one.

import { connect, type ConsumerMessages, DeliverPolicy, JSONCodec, type NatsConnection } from "nats.ws";

export interface Meme {
  id: string;
  text: string;
  state: "waiting" | "done" | "failed";
  image?: string;   // a data URL
  cached?: boolean; // it was made before
  error?: string;
  askedAt: number;
  seconds?: number; // until the response came
}

interface Response {
  id: string;
  image?: string;
  cached?: boolean;
  error?: string;
}

const REQUEST = "meme.request";
const RESPONSES = "MEMES_DONE"; // the stream
const ACK_MS = 10_000;
const LATE_MS = 5_000;
const AGAIN_MS = 1_000;
const CLOCKS_MS = 60_000; // so much may NATS' clock be behind the page's

const codec = JSONCodec<unknown>();

// ws://HOST:9222 of where the page comes from, or what ?nats= says. A page that came by https may open wss only.
export function address(location: Location): string {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return new URLSearchParams(location.search).get("nats") ?? `${scheme}://${location.hostname}:9222`;
}

// crypto.randomUUID is missing on a page that came by http from anywhere but localhost.
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Memes {
  private connection?: NatsConnection;
  private messages?: ConsumerMessages;
  private turn = 0;
  private isClosed = false;

  // since(): when the oldest request was made that waits for its response.
  constructor(private url: string, private since: () => number, private onResponse: (response: Response) => void, private onState: (state: string) => void) {
    void this.open();
  }

  private async open() {
    this.onState(`connecting to ${this.url}`);
    const late = setTimeout(() => this.onState(`cannot connect to ${this.url}, trying again`), LATE_MS);
    try {
      const connection = await connect({ servers: this.url, waitOnFirstConnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 1000 });
      clearTimeout(late);
      if (this.isClosed) return await connection.close();
      this.connection = connection;
      this.onState("connected");
      void this.follow();
      for await (const { type } of connection.status())
        if (type === "disconnect") this.onState("connection lost: trying again");
        else if (type === "reconnect") {
          this.onState("connected");
          void this.follow();
        }
    } catch (error) {
      clearTimeout(late);
      this.onState(`cannot connect to ${this.url}: ${String(error)}`);
    }
  }

  // By an ordered consumer, anew after each connection: what was stored while the page was away is delivered, too.
  private async follow() {
    const turn = ++this.turn;
    this.messages?.stop();
    while (!this.isClosed && turn === this.turn) {
      try {
        const from = new Date(this.since() - CLOCKS_MS).toISOString();
        const consumer = await this.connection!.jetstream().consumers.get(RESPONSES, { deliver_policy: DeliverPolicy.StartTime, opt_start_time: from });
        const messages = await consumer.consume();
        if (turn !== this.turn) return messages.stop();
        this.messages = messages;
        for await (const message of messages) this.onResponse(codec.decode(message.data) as Response);
      } catch {
        // There is no stream yet, or the connection is lost again.
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  // Resolves when JetStream has stored the request: it is not lost any more, whoever makes the meme, and whenever.
  async request(id: string, text: string) {
    if (!this.connection) throw new Error("not connected yet");
    await this.connection.jetstream().publish(REQUEST, codec.encode({ id, text }), { msgID: id, timeout: ACK_MS });
  }

  close() {
    this.isClosed = true;
    void this.connection?.close();
  }
}
