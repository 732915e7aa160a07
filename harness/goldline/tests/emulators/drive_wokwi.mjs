// Drives a service with Wokwi's own client for JavaScript, whose package brings no WebSocket: hello, upload, start,
// console, restart, write. Arguments: the folder of the packages, a folder with diagram.json and the flash's files,
// and the files as OFFSET=NAME. Server and token stand in the environment. Prints JSON.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [packages, folder, ...files] = process.argv.slice(2);
const required = createRequire(join(packages, 'x.js'));
const { WebSocket } = required('ws');
const client = join(packages, 'node_modules/@wokwi/client/dist/index.js');
const { APIClient } = await import(pathToFileURL(client));

class Transport {
  onMessage = () => {};

  connect() {
    const headers = { Authorization: `Bearer ${process.env.WOKWI_CLI_TOKEN}` };
    this.socket = new WebSocket(process.env.WOKWI_CLI_SERVER, { headers });
    this.socket.on('message', (data) => this.onMessage(JSON.parse(data.toString())));
    this.socket.on('close', (code, reason) => this.onClose?.(code, reason.toString()));
    return new Promise((resolve, reject) => {
      this.socket.on('open', resolve);
      this.socket.on('error', reject);
    });
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  close() {
    this.socket.close();
  }
}

const api = new APIClient(new Transport());
const hello = new Promise((resolve) => {
  api.onConnected = resolve;
});
let console_text = '';
let heard = () => {};
api.listen('serial-monitor:data', (event) => {
  console_text += Buffer.from(event.payload.bytes).toString();
  heard();
});
const until = (text) =>
  new Promise((resolve) => {
    heard = () => console_text.includes(text) && resolve();
    heard();
  });

try {
  await api.connected;
  const { protocolVersion } = await hello;
  await api.fileUpload('diagram.json', readFileSync(join(folder, 'diagram.json'), 'utf-8'));
  const firmware = [];
  for (const file of files) {
    const [offset, name] = file.split('=');
    await api.fileUpload(name, new Uint8Array(readFileSync(join(folder, name))));
    firmware.push({ offset: Number(offset), file: name });
  }
  const unknown = await api.sendCommand('sim:fly').catch((error) => error.message);
  await api.serialMonitorListen();
  await api.simStart({ firmware, flashSize: '4MB', pause: false });
  await api.simResume();
  await until('esp32> ');
  const first = console_text;
  const status = await api.simStatus();
  const pin = await api.pinRead('esp', '4');
  const part = await api.controlSet('none', 'pressed', 1).catch((error) => error.message);
  await api.delay(1e6);
  const paused = await api.simStatus();
  await api.simResume();
  console_text = '';
  await api.simRestart();
  await until('esp32> ');
  const second = console_text;
  console_text = '';
  await api.serialMonitorWrite(Buffer.from('provision_status\n'));
  await until('Room:');
  const answer = console_text;
  const { length } = await api.fileDownload('diagram.json');
  console.log(JSON.stringify({
    protocolVersion, unknown, first, status, pin, part, paused, second, answer, length,
  }));
} finally {
  api.close();
}
