// Start-up: how long from the command line to the first event on standard output.
//
//   npm run bench:startup            11 rounds
//   npm run bench:startup -- 31      as many as you like
//
// Each round runs, one after the other, bare `node -e 0`, Waggle with an empty cache (cold: TypeScript is loaded, the
// probe compiled, checked and verified), Waggle with a full one (warm), and bpftrace where it is installed; so that
// all see the same machine. The event is the execution of /bin/true, which each of them starts after attaching.

import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '..')
const ROUNDS = Number(process.argv[2] ?? 11)
const PROBE = ['bin/waggle.js', 'run', 'examples/exec-events.ts', '--json', '--', '/bin/true']

interface Contestant {
  readonly name: string
  readonly aim?: string
  /** Milliseconds until the first event, or until the end where there is none to wait for. */
  run(): Promise<number>
}

/** Time from spawn to the first output that `first` accepts. Throws with what was printed if there is none. */
function until(
  file: string,
  args: readonly string[],
  env: Record<string, string>,
  first?: (text: string) => boolean,
): Promise<number> {
  return new Promise((done, fail) => {
    const began = performance.now()
    let at: number | undefined
    let text = ''
    const child = spawn(file, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    const read = (chunk: Buffer) => {
      text += chunk
      if (at === undefined && first?.(text)) at = performance.now() - began
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('error', fail)
    child.on('close', () => {
      if (first && at === undefined) fail(new Error(`no event from ${[file, ...args].join(' ')}:\n${text}`))
      else done(at ?? performance.now() - began)
    })
  })
}

const scratch = mkdtempSync(join(tmpdir(), 'waggle-bench-'))
const event = (text: string) => text.includes('"type":"event"')
let round = 0

const contestants: Contestant[] = [
  { name: 'node -e 0', run: () => until(process.execPath, ['-e', '0'], {}) },
  {
    name: 'waggle, cold',
    aim: 'at most +500',
    run: () => until(process.execPath, PROBE, { WAGGLE_CACHE_DIR: join(scratch, `cold-${round}`) }, event),
  },
  {
    name: 'waggle, warm',
    aim: 'at most +100',
    run: () => until(process.execPath, PROBE, { WAGGLE_CACHE_DIR: join(scratch, 'warm') }, event),
  },
]

/** bpftrace wants tracefs mounted: in a mount namespace of its own, so that nothing stays. */
const BPFTRACE = [
  'mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug',
  'ls /sys/kernel/debug/tracing/events >/dev/null 2>&1 || mount -t tracefs none /sys/kernel/debug/tracing',
  `exec bpftrace -e 'tracepoint:sched:sched_process_exec { printf("event %s\\n", comm); }' -c /bin/true`,
].join('\n')
const viaBpftrace = () => until('unshare', ['-m', 'sh', '-c', BPFTRACE], {}, (text) => text.includes('event '))

if (spawnSync('bpftrace', ['--version']).error) console.log('bpftrace: not installed, left out')
else {
  try {
    await viaBpftrace()
    contestants.push({ name: 'bpftrace', run: viaBpftrace })
  } catch (error) {
    console.log(
      `bpftrace: left out, it does not work here: ${(error as Error).message.split('\n').slice(-3).join(' ')}`,
    )
  }
}

const times = new Map(contestants.map(({ name }) => [name, [] as number[]]))
try {
  for (const { run } of contestants) await run()
  for (round = 1; round <= ROUNDS; round++) {
    for (const { name, run } of contestants) times.get(name)!.push(await run())
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[list.length >> 1]
const bare = median(times.get('node -e 0')!)
console.log(`${ROUNDS} interleaved rounds, Node ${process.versions.node}; milliseconds to the first event`)
console.log('                    min   median   over bare Node')
for (const { name, aim } of contestants) {
  const list = times.get(name)!
  const over = median(list) - bare
  console.log(
    `${name.padEnd(16)} ${Math.min(...list)
      .toFixed(1)
      .padStart(
        6,
      )} ${median(list).toFixed(1).padStart(8)}   ${name === 'node -e 0' ? '' : `+${over.toFixed(1)}`.padStart(7)}${aim ? `  (aim: ${aim})` : ''}`,
  )
}
