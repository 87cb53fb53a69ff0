import Alert from "@mui/material/Alert";
import Box from "@mui/material/Box";
import Button from "@mui/material/Button";
import Card from "@mui/material/Card";
import CardContent from "@mui/material/CardContent";
import CardMedia from "@mui/material/CardMedia";
import Chip from "@mui/material/Chip";
import CircularProgress from "@mui/material/CircularProgress";
import Container from "@mui/material/Container";
import Paper from "@mui/material/Paper";
import Stack from "@mui/material/Stack";
import TextField from "@mui/material/TextField";
import Typography from "@mui/material/Typography";
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

function MemeCard({ meme }: { meme: Meme }) {
  return (
    <Card component="li" variant="outlined" className={`meme ${meme.state}`}>
      {meme.image && <CardMedia component="img" image={meme.image} alt={meme.text} />}
      {meme.state === "waiting" && (
        <Stack role="status" sx={{ aspectRatio: "4 / 3", alignItems: "center", justifyContent: "center", gap: 2 }}>
          <CircularProgress aria-label="Waiting" />
          <Typography color="textSecondary">Waiting for a worker …</Typography>
        </Stack>
      )}
      {meme.error && <Alert severity="error">{meme.error}</Alert>}
      <CardContent>
        <Typography sx={{ fontWeight: 600, overflowWrap: "anywhere" }}>{meme.text}</Typography>
        <Typography variant="body2" color="textSecondary">
          request {meme.id.slice(0, 8)}
          {meme.seconds !== undefined && `, ${meme.seconds.toFixed(1)} s`}
          {meme.state === "done" && (meme.cached ? ", from the cache" : ", newly made")}
        </Typography>
      </CardContent>
    </Card>
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

  const isConnected = state === "connected";
  return (
    <Container component="main" sx={{ py: 5 }}>
      <Typography component="h1" variant="h4">Memes</Typography>
      <Chip role="status" variant="outlined" color={isConnected ? "success" : "default"} label={`NATS: ${state}`} sx={{ my: 1, maxWidth: "100%" }} />
      <Paper component="form" variant="outlined" onSubmit={submit} sx={{ my: 2, p: 2.5 }}>
        <Stack direction={{ xs: "column", sm: "row" }} spacing={1.5}>
          <TextField id="text" label="What should it say?" value={text} onChange={(event) => setText(event.target.value)} autoComplete="off" required fullWidth />
          <Button type="submit" variant="contained" disabled={!isConnected} sx={{ flexShrink: 0 }}>Make it</Button>
        </Stack>
      </Paper>
      {memes.length === 0 && <Typography color="textSecondary">No meme yet.</Typography>}
      <Box component="ul" sx={{ p: 0, display: "grid", gap: 2, alignItems: "start", gridTemplateColumns: "repeat(auto-fill, minmax(min(100%, 280px), 1fr))" }}>
        {memes.map((meme) => <MemeCard key={meme.id} meme={meme} />)}
      </Box>
    </Container>
  );
}
