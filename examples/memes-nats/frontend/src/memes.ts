// Talks to NATS over WebSocket: a request has an id, and its response or its error has the same one.

import { connect, JSONCodec, type NatsConnection } from "nats.ws";

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
const RESPONSE = "meme.response";
const ERROR = "meme.response.error";
const ACK_MS = 10_000;

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
  private isClosed = false;

  constructor(private url: string, private onResponse: (response: Response) => void, private onState: (state: string) => void) {
    void this.open();
  }

  private async open() {
    try {
      const connection = await connect({ servers: this.url, waitOnFirstConnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 1000 });
      if (this.isClosed) return await connection.close();
      this.connection = connection;
      this.onState("connected");
      void this.follow(RESPONSE);
      void this.follow(ERROR);
      for await (const { type } of connection.status())
        if (type === "disconnect") this.onState("connection lost: trying again");
        else if (type === "reconnect") this.onState("connected");
    } catch (error) {
      this.onState(`cannot connect to ${this.url}: ${String(error)}`);
    }
  }

  private async follow(subject: string) {
    for await (const message of this.connection!.subscribe(subject)) this.onResponse(codec.decode(message.data) as Response);
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
