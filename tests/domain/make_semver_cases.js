// Writes semver_cases.json: what npm's semver answers, for test_semver.py to compare with.
//
//   npm install --prefix "$FOLDER" semver@7
//   NODE_PATH="$FOLDER/node_modules" node tests/domain/make_semver_cases.js
//
// Deterministic: the same npm release of semver writes the same file.
'use strict'

const fs = require('fs')
const path = require('path')
const semver = require('semver')

// mulberry32: Math.random cannot be seeded.
let seed = 20240229
const random = () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const pick = list => list[Math.floor(random() * list.length)]
const maybe = (chance, make) => (random() < chance ? make() : '')
const times = (count, make) => Array.from({ length: count }, make)

const MAX = '9007199254740991'
const SPACES = [' ', '  ', '\t', '\n', '\u00a0', '\u2003', '\u3000', '\ufeff', '\u2028']
const NOT_SPACES = ['\u0085', '\u001c', '\u001f', '\u200b', '\u180e', '\0']

// Versions ------------------------------------------------------------------------------

const number = () => pick(['0', '0', '1', '1', '2', '3', '10', MAX])
const identifier = () =>
  pick(['0', '1', '2', '10', 'a', 'b', 'alpha', 'beta', 'rc', 'x', 'X', 'v', '-', '--1', '0a',
    '00a', 'A', '20240101123456789', MAX])
const prerelease = () => '-' + times(pick([1, 1, 2, 3]), identifier).join('.')
const build = () => '+' + times(pick([1, 1, 2]), () => pick(['1', '001', 'sha', '-', 'x'])).join('.')
const version = () =>
  `${number()}.${number()}.${number()}${maybe(0.3, prerelease)}${maybe(0.15, build)}`

// One change somewhere: most results are wrong in just one place.
const NOISE = [...'0123456789.-+vVxX*=<>~^| |_,aé', '||', ' - ', '01', '\u0661', '\uff11', '\ud83d\ude00',
  '\ud800', ...SPACES, ...NOT_SPACES]
const spoil = text => {
  const at = Math.floor(random() * (text.length + 1))
  return text.slice(0, at) + maybe(0.8, () => pick(NOISE)) + text.slice(at + pick([0, 0, 1, 2]))
}

const VERSIONS = [
  '', ' ', 'v', '=', '1', '1.2', '1.2.3', 'v1.2.3', 'V1.2.3', '=1.2.3', '= v1.2.3', 'v 1.2.3',
  'vv1.2.3', '==1.2.3', '=v1.2.3', 'v=1.2.3', '1.2.3.4', '01.2.3', '1.02.3', '1.2.03', '1.2.3-01',
  '1.2.3-0a', '1.2.3-a.01', '1.2.3-', '1.2.3-.', '1.2.3-a.', '1.2.3-a..b', '1.2.3+', '1.2.3+a+b',
  '1.2.3+01', '1.2.3-a+01', '1.2.3+a.', '1.2.3-a_b', '1.2.3beta', '1.2.3 beta', '1.2.-3', '-1.2.3',
  '+1.2.3', '1e3.2.3', '1.2.x', '*', 'x', '0x1.2.3', '1,2,3', '1.2.3\0', '1. 2.3', 'latest',
  `${MAX}.${MAX}.${MAX}`, '9007199254740992.0.0', '0.9007199254740992.0', '0.0.9007199254740992',
  '99999999999999999999.0.0', '1.2.99999999999999999999', '1.2.3-99999999999999999999',
  `1.2.3-${MAX}`, '1.2.3-9007199254740992', '1.2.3+99999999999999999999',
  '\u0661.2.3', '1.2.\uff13', '1.2.3-\u0661', '1.2.3-é', '1.2.3+é', '1.2.3-\ud800', '²'
    + '.0.0', 'null', 'undefined', 'NaN.0.0', 'Infinity.0.0', '1.2.3\n', '\n1.2.3', '1.2.3\n4.5.6',
  '1.2.3-' + 'a'.repeat(250), '1.2.3-' + 'a'.repeat(251), '1.2.3+' + 'a'.repeat(250),
  '1.2.3+' + 'a'.repeat(251), '1.2.3' + ' '.repeat(251), '1.2.3' + ' '.repeat(252),
  ' '.repeat(256), ' '.repeat(257), '1'.repeat(256), '1.'.repeat(128), '1.2.3-' + '0.'.repeat(125),
  '1.2.3-' + '0.'.repeat(124) + '0', '1.2.3-' + '1'.repeat(250), '1'.repeat(252) + '.0.0',
  ...SPACES.flatMap(s => [`${s}1.2.3`, `1.2.3${s}`, `1.2${s}.3`]),
  ...NOT_SPACES.flatMap(s => [`${s}1.2.3`, `1.2.3${s}`]),
  ...times(300, version),
  ...times(300, () => spoil(version())),
]

// Every range is asked about each of these.
const PROBES = [
  '0.0.0-0', '0.0.0-beta', '0.0.0', '0.0.1-0', '0.0.1', '0.0.2', '0.1.0-a', '0.1.0', '0.1.1', '0.2.0',
  '1.0.0-0', '1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-beta', '1.0.0-beta.2',
  '1.0.0-beta.11', '1.0.0-rc.1', '1.0.0', '1.0.0+build', '1.0.1', '1.1.0-beta', '1.1.0', '1.2.0',
  '1.2.2', '1.2.3-0', '1.2.3-alpha', '1.2.3-alpha.0', '1.2.3-beta', '1.2.3-beta.1', '1.2.3-x', '1.2.3',
  '1.2.4-beta', '1.2.4', '1.3.0-0', '1.3.0', '1.10.0', '2.0.0-0', '2.0.0-a', '2.0.0', '2.0.1', '2.1.0',
  '2.3.4', '3.0.0-0', '3.0.0', '3.1.0', '4.0.0', '10.0.0', `${MAX}.0.0`, `${MAX}.${MAX}.${MAX}`,
]

// Ranges --------------------------------------------------------------------------------

const part = () => pick(['0', '0', '1', '1', '2', '3', 'x', 'X', '*', '10'])
const PARTIALS = ['1', '1.2', '1.2.3', '1.2.3-beta', '1.2.3-beta+b', '0', '0.0', '0.1', '0.0.0', '0.0.1',
  '0.1.1', '0.0.1-a', '0.0.0-0', '0.1.0-a', 'x', '*', 'X', '1.x', '1.X', '1.*', '1.x.x', '1.2.x', '1.2.*',
  'x.x', '*.*.*', 'x.1', 'x.0.1', '*.1', '*.0.1', 'x.x.1', '*.*.1', '1.x.3', '1.*.3', '1.x.x-beta',
  'x.x.x-beta', '1.2.x-beta', '1.2-beta', '1-beta', '1.2+b', '1.2.3+b', '1.x+b', 'v1', 'v1.2', 'v1.2.3',
  'v0.0.0', '=1', '=1.2.3', 'v=1.2', '01.2.3', '1.02', '1.2.3.4', '1.', '1..2', '.1', '', MAX, `1.${MAX}`,
  `1.2.${MAX}`, `0.0.${MAX}`, '9007199254740992', '99999999999999999999', `x.99999999999999999999`,
  '1.x.99999999999999999999', '1.2.99999999999999999999', '1.2.3-99999999999999999999', '1.2.3-01']
const PREFIXES = ['', '=', '<', '<=', '>', '>=', '^', '~', '~>', '> ', '>= ', '<  ', '^ ', '~ ', '~> ', '= ']

const partial = () => pick([
  version, version, () => pick(PARTIALS), part, () => `${part()}.${part()}`,
  () => `${part()}.${part()}.${part()}${maybe(0.3, prerelease)}${maybe(0.2, build)}`,
])()
const term = () => pick(['', '', '', ...PREFIXES, '==', '=>', '!', '>~', '~>=', '^=']) + maybe(0.05, () => 'v') + partial()
const alternative = () => pick([
  term, term, () => `${partial()} - ${partial()}`, () => `${term()} ${term()}`,
  () => `${pick(['>', '>=', '^', '~'])}${version()} ${pick(['<', '<='])}${version()}`,
  () => `${term()}  ${term()} ${term()}`,
])()
const range = () => pick([alternative, alternative, alternative, () => `${alternative()}||${alternative()}`,
  () => `${alternative()} || ${alternative()} || ${alternative()}`])()

const RANGES = [
  '', ' ', '||', '|| ||', '|', '| |', '|||', '||||', '* || *', '1 ||', '|| 1', '1 | 2', '1 || 2', '1||2||3',
  '1||bad', 'bad||1', '<0.0.0-0', '<0.0.0-0 || <0.0.0-0', '<0.0.0-0||1', '>*', '<*', '>=*', '<=*', '=*', '!*',
  '>x', '<x || >x', '>x 1', '1 >x', '1 *', '* 1', '* *', '**', '*1.2.3', '1.2.3*', '>*1.2.3', '1*', '*>=1.2.3',
  '>=0.0.0', '>=0.0.0 <2', '>=v0.0.0', '>= 0.0.0', '>=0.0.0+b', '>=0.0.0-0', '0.0.0 - 1', 'v0.0.0 - 1', '>=0',
  '1.2.3 - 2.3.4', '1.2 - 2.3.4', '1 - 2.3.4', '1.2.3 - 2.3', '1.2.3 - 2', '1.2.3 - x', 'x - 1.2.3', '* - *',
  '1.2.3-beta - 2.0.0-a', '1.2.3-beta-2', '1.2.3 -2', '1.2.3- 2', '1.2.3  -  2', '1.2.3\t-\n2', '1 - 2 - 3',
  '1 - 2 || 3 - 4', '1 - 2 3', '0 1 - 2', '=1 - 2', '= 1 - = 2', '=1.2.3 - 2', '1 - =2.0.0', 'v1 - v2',
  '1 - v2.0.0', '>1 - 2', '^1 - 2', '1.2.3+b - 2.0.0+c', '2 - 1', '1.x.3 - 2.x.3', '-', ' - ', '1 -', '- 1',
  '>1.2.3<2', '>1.2.3 <2', '> 1.2.3 < 2', '>\t1.2.3', '> = 1', '>= 1', '>==1', '>v1', '> v 1', '>v= 1', 'v 1', '= 1',
  '~ 1.2', '~ > 1.2', '~> 1.2', '~  1', '^ 1', '^  1', '^^1', '~~1', '^ ^ 1', '~^1', '^~1', '^>1', '~>=1', '^=1.2',
  '^v1.2.3', '~v=v1.2', '>=1.2.3 <1.2.3', '>=1.2.3 <=1.2.3', '<=1.2.3 >=1.2.3', '1.2.3 1.2.3', '1.2.3 1.2.4',
  '1.2.3 || 1.2.3', '>1.2.3 >1.2.3', '1.2.3 >=1.2.3', '>=1.2.3 1.2.3', '>=1.2.3-beta <1.2.3', '^1.2.3-beta <1.2.4-0',
  '>=1.0.0-a <=2.0.0-a', '>1.0.0-beta.2', '<1.0.0-beta.11', '<=1.0.0-alpha || >=1.0.0-rc.1 <1.0.0', '^1.0.0 >=2.0.0-a',
  '<1 || >2', '<1 || 3', '1 || 2.0.0-a', '>=2 <1', '1.2.3+b', 'v1.2.3', 'v1.2.3+b', ' 1.2.3 ', '1.2.3 +b', '+b', '+', '1 +b - 2',
  '> +b 1', '>+b 1', '1 - 2 +a +b', '++b', '~+b 1', '1.2.3++b', '1.2.3+b+c', '>1+b <2+c', 'latest', 'next', '1.2.3 foo', 'foo',
  'git://x', '1,2', '>=1.2.3,<2', '1 and 2', '\u0661', '^\uff11.2', '1.2.3-é', '\ud800', '1 \ud83d\ude00', '=', '>', '>=', '^', '~',
  '~>', 'v', 'v=', '=<1', '=>1', '<>1', '><1', '!=1', '~=1', '===1', '1.2.3-', '>1.2.3-', '1.2.3-beta-', '1.2.3--', '1.2.3-x.x',
  '1.2.3-v = 2', '1.2.3-v= 2', '1.2v = 3', '>=1.2.3-a.v  = 1.x', '>1.3.1+*2 <2', '=2.1.0+*A', '1.2.3+*', '+*1.2.3',
  '1'.repeat(256), '1.2.3 '.repeat(42), '||'.repeat(128), '^'.repeat(256), 'v'.repeat(256), '='.repeat(255) + '1', ' '.repeat(256),
  'v='.repeat(100) + '1', '*'.repeat(256), '1.2.3-' + 'a'.repeat(250), '^1.2.3-' + '1.'.repeat(124) + '1', '1' + ' '.repeat(254) + '2',
  ...PREFIXES.flatMap(prefix => PARTIALS.map(partial => prefix + partial)),
  ...SPACES.flatMap(s => [`${s}1.2`, `1.2${s}`, `>${s}1.2`, `>1${s}<2`, `1${s}-${s}2`, `1.2${s}||${s}3`, `1.${s}2`]),
  ...NOT_SPACES.flatMap(s => [`${s}1.2`, `1.2${s}`, `>1${s}<2`, `1 ${s} 2`]),
  ...times(350, range),
  ...times(200, () => spoil(range())),
]

// Device versions -----------------------------------------------------------------------

// As in the reference server (CodePush, acquisition of updates).
const normalize = text => {
  if (/^\d+$/.test(text)) return `${text}.0.0`
  if (/^\d+\.\d+([+-].*)?$/.test(text)) {
    const tag = text.search(/[+-]/)
    return tag === -1 ? `${text}.0` : `${text.slice(0, tag)}.0${text.slice(tag)}`
  }
  return text
}
const APP_VERSIONS = ['', '1', '10', '1.0', '1.0-beta', '1.0+5', '1.0-beta+5', '1.0+5-beta', '1-beta', '1.0.0', '1.0.0-beta', 'v1',
  'v1.0', ' 1', '1 ', '1\n', '1.0\n', '1.0-a\n', '1.0-a\nb', '1.0-a\r', '1.0-a\u2028', '1.0-', '1.0+', '1.', '.1', '1.0.', '1.0.0.0',
  '01', '01.02', '\u0661', '1.\u0661', '\uff11.0', '1.0-é', '1.0-\ud83d\ude00', '-1', '+1.0', '1,0', '1.x', '99999999999999999999',
  '1.0 -a', '1.0-a b', '9'.repeat(300), '1.0-' + 'a'.repeat(300)]

// The table -----------------------------------------------------------------------------

const unique = list => [...new Set(list)]
// One letter a probe: "y" satisfies the range, "g" is greater than all of it, "n" neither.
const verdict = (probe, text) =>
  semver.satisfies(probe, text) ? 'y' : semver.gtr(probe, text) ? 'g' : 'n'
const rangeCase = text => {
  const canonical = semver.validRange(text)
  if (canonical === null) return [text, null]
  return [text, canonical, PROBES.map(probe => verdict(probe, text)).join('')]
}

const ascii = text => text.replace(/[\u007f-\uffff]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
const lines = list => '[\n' + list.map(item => ascii(JSON.stringify(item))).join(',\n') + '\n]'
const sorted = unique(VERSIONS).filter(text => semver.valid(text))
const pairs = times(700, () => [pick(sorted), pick(sorted)]).map(([a, b]) => [a, b, semver.compare(a, b)])

const table = {
  semver: JSON.stringify(require('semver/package.json').version),
  versions: lines(unique(VERSIONS).map(text => [text, semver.valid(text)])),
  compare: lines(pairs),
  probes: lines(PROBES),
  ranges: lines(unique(RANGES).map(rangeCase)),
  app_versions: lines(APP_VERSIONS.map(text => [text, normalize(text)])),
}
const body = Object.entries(table).map(([name, text]) => `"${name}": ${text}`).join(',\n')
fs.writeFileSync(path.join(__dirname, 'semver_cases.json'), `{\n${body}\n}\n`)
