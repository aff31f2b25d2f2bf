(async () => {
  const packed = Uint8Array.from(atob(document.getElementById("descentlab-packed").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const [style, words, script] = JSON.parse(await new Response(stream).text());
  const put = (name, text, attributes) => document.head.append(Object.assign(document.createElement(name), { textContent: text, ...attributes }));
  put("style", style, { className: "made" });
  put("script", words, { className: "made", type: "application/json", id: "descentlab-words" });
  put("script", script, { className: "made" });
})();
