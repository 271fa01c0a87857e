// The same frames as the gateway's, served by the ws package: prints its port; for each line
// `NUMBER FRAMES` of its input it sends so many frames to everybody, one every 1/NUMBER s.
'use strict';
module.paths.push('/usr/share/nodejs');
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false, backlog: 4096 },
  () => console.log(server.address().port));
server.on('connection', (client) => client.on('message', () => client.send('{"op":"live","cursor":"1.1"}')));
const event = process.argv[2];
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const [rate, count] = line.split(' ').map(Number);
  let n = 0;
  const timer = setInterval(() => {
    n += 1;
    const frame = `{"op":"event","cursor":"1.${n}","position":${n},"prev":${n - 1},"event":${event}}`;
    for (const client of server.clients) client.send(frame);
    if (n === count) clearInterval(timer);
  }, 1000 / rate);
});
