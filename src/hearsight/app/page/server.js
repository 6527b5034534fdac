// Talking with the server: uploads, Gradio's queue, files.

export class Failure extends Error {}

async function words(answer) {
  try { return (await answer.json()).error ?? `the server answered ${answer.status}`; }
  catch { return `the server answered ${answer.status}`; }
}

export async function limits() {
  const answer = await fetch("limits");
  if (!answer.ok) throw new Failure(await words(answer));
  return answer.json();
}

export function upload(file, progress, stopped) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `clips?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = event => progress(event.loaded / event.total);
    request.onload = () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* not JSON */ }
      if (request.status === 200) resolve(answer);
      else reject(new Failure(answer.error ?? `the server answered ${request.status}`));
    };
    request.onerror = () => reject(new Failure("the connection to the server broke off"));
    request.onabort = () => reject(new Failure(""));
    stopped.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

export async function sample() {
  const answer = await fetch("sample", { method: "POST" });
  if (!answer.ok) throw new Failure(await words(answer));
  return answer.json();
}

export const fileOf = (token, name) => `clips/${token}/${name}`;

// A job through Gradio's queue; `report` gets {waiting}, {progress, doing, left_s}.
export async function run(token, job, report, stopped) {
  const given = await fetch(`clips/${token}/job`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(job),
  });
  if (!given.ok) throw new Failure(await words(given));
  const { ticket } = await given.json();
  const session = [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("");
  const joined = await fetch("queue/gradio_api/queue/join", {
    method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ fn_index: 0, session_hash: session, data: [ticket], simple_format: true }),
  });
  if (!joined.ok) throw new Failure(joined.status === 503 ? "too many are waiting here; try again later" : await words(joined));
  return new Promise((resolve, reject) => {
    const events = new EventSource(`queue/gradio_api/queue/data?session_hash=${session}`);
    const leave = (finish, value) => { events.close(); finish(value); };
    stopped?.addEventListener("abort", () => {   // one that waits leaves the queue with its connection
      fetch(`clips/${token}/stop`, { method: "POST" });
      leave(reject, new Failure(""));
    });
    events.onmessage = event => {
      const message = JSON.parse(event.data), said = message.output?.data?.[0];
      if (message.msg === "estimation") report({ waiting: message.rank + 1, left_s: message.rank_eta });
      else if (typeof said === "string") {
        const news = JSON.parse(said);
        if ("done" in news) leave(resolve, news.done);
        else if ("failed" in news) leave(reject, new Failure(news.failed));
        else report(news);
      } else if (["process_completed", "unexpected_error", "close_stream"].includes(message.msg))
        leave(reject, new Failure(message.output?.error ?? message.message ?? "the job ended without a result"));
    };
    events.onerror = () => leave(reject, new Failure("the connection to the server broke off"));
  });
}

export const forget = token => fetch(`clips/${token}`, { method: "DELETE", keepalive: true });
