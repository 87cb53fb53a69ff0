import { type FormEvent, useEffect, useRef, useState } from "react";
import { address, type Meme, Memes, newId } from "./memes";

const MOST_SHOWN = 50;
const STORED = "memes";

// A refresh keeps them; of large ones the newest, as many as the browser stores.
function store(memes: Meme[]) {
  for (let count = memes.length; count >= 0; count = count > 1 ? Math.floor(count / 2) : count - 1)
    try {
      return sessionStorage.setItem(STORED, JSON.stringify(memes.slice(0, count)));
    } catch {
      // too large
    }
}

function Card({ meme }: { meme: Meme }) {
  return (
    <li className={`meme ${meme.state}`}>
      {meme.image && <img src={meme.image} alt={meme.text} />}
      {meme.state === "waiting" && <p className="spinner" role="status">Waiting for a worker …</p>}
      {meme.error && <p role="alert">{meme.error}</p>}
      <p className="text">{meme.text}</p>
      <p className="note">
        request {meme.id.slice(0, 8)}
        {meme.seconds !== undefined && `, ${meme.seconds.toFixed(1)} s`}
        {meme.state === "done" && (meme.cached ? ", from the cache" : ", newly made")}
      </p>
    </li>
  );
}

export function App() {
  const [memes, setMemes] = useState<Meme[]>(() => JSON.parse(sessionStorage.getItem(STORED) ?? "[]"));
  const latest = useRef(memes);
  const [state, setState] = useState("connecting");
  const [text, setText] = useState("");
  const client = useRef<Memes>(null);

  const change = (id: string, changes: (meme: Meme) => Partial<Meme>) =>
    setMemes((all) => all.map((meme) => (meme.id === id ? { ...meme, ...changes(meme) } : meme)));

  useEffect(() => {
    latest.current = memes;
    store(memes);
  }, [memes]);

  useEffect(() => {
    const since = () => Math.min(Date.now(), ...latest.current.filter((meme) => meme.state === "waiting").map(({ askedAt }) => askedAt));
    const memesOfNats = new Memes(address(window.location), since, ({ id, image, cached, error }) =>
      // Responses to others pass by, too: their ids are unknown here.
      // One that is here already may come again.
      change(id, ({ state, askedAt }) => (state === "done" ? {} : { image, cached, error, state: error ? "failed" : "done", seconds: (Date.now() - askedAt) / 1000 })),
    setState);
    client.current = memesOfNats;
    return () => memesOfNats.close();
  }, []);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const meme: Meme = { id: newId(), text, state: "waiting", askedAt: Date.now() };
    setMemes((all) => [meme, ...all].slice(0, MOST_SHOWN));
    setText("");
    try {
      await client.current!.request(meme.id, meme.text);
    } catch (error) {
      change(meme.id, () => ({ state: "failed", error: `The request was not accepted: ${String(error)}` }));
    }
  }

  return (
    <main>
      <h1>Memes</h1>
      <p className={`note ${state === "connected" ? "connected" : ""}`} role="status">NATS: {state}</p>
      <form onSubmit={submit}>
        <label htmlFor="text">What should it say?</label>
        <input id="text" value={text} onChange={(event) => setText(event.target.value)} autoComplete="off" required />
        <button disabled={state !== "connected"}>Make it</button>
      </form>
      {memes.length === 0 && <p className="note">No meme yet.</p>}
      <ul>{memes.map((meme) => <Card key={meme.id} meme={meme} />)}</ul>
    </main>
  );
}
