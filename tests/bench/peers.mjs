// Cards by satori and resvg, as their users lay them out: flexbox, a dark veil over the picture, fonts by script.
// Reads {"node_modules", "fonts": {name: path}, "cards": [{"title", "picture", "out"}]} from stdin and prints the
// milliseconds of processor time that each card took.
import {readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const asked = JSON.parse(readFileSync(0, 'utf8'));
const require = createRequire(`${asked.node_modules}/`);
const {default: satori} = require('satori');
const {Resvg} = require('@resvg/resvg-js');

const fonts = Object.entries(asked.fonts).map(([name, path]) => ({name, data: readFileSync(path), weight: 700, style: 'normal'}));
const uri = (type, bytes) => `data:${type};base64,${bytes.toString('base64')}`;
const emoji = (text) => {
  const points = [...text].map((one) => one.codePointAt(0)).filter((one) => one !== 0xfe0f);
  return uri('image/svg+xml', readFileSync(`${asked.node_modules}/@twemoji/svg/${points.map((one) => one.toString(16)).join('-')}.svg`));
};
const box = (style, ...children) => ({type: 'div', props: {style: {display: 'flex', ...style}, children}});

const times = [];
for (const {title, picture, out} of asked.cards) {
  const before = process.cpuUsage();
  const card = box(
    {width: 1200, height: 630, alignItems: 'flex-end', backgroundImage: `url(${uri('image/jpeg', readFileSync(picture))})`, backgroundSize: '1200px 630px'},
    box({width: 1200, height: 630, padding: 64, alignItems: 'flex-end', backgroundImage: 'linear-gradient(to bottom, rgba(0,0,0,0) 30%, rgba(0,0,0,0.8))'},
      box({fontSize: 72, fontWeight: 700, lineHeight: 1.15, color: 'white', fontFamily: Object.keys(asked.fonts).join(', ')}, title)),
  );
  const svg = await satori(card, {width: 1200, height: 630, fonts, loadAdditionalAsset: async (code, text) => (code === 'emoji' ? emoji(text) : [])});
  writeFileSync(out, new Resvg(svg).render().asPng());
  const used = process.cpuUsage(before);
  times.push((used.user + used.system) / 1000);
}
console.log(JSON.stringify(times));
