// A capture as the source of a job: every packet through a packet program on the user engine, on any platform and
// without privileges.

import { readFileSync } from 'node:fs'
import { readCapture } from '../capture/index.ts'
import { Diagnostic } from '../diag/diagnostic.ts'
import type { Engine, Prog } from '../engine/engine.ts'
import { eventMaps, lostOf, shownMaps, typedEvents, viewMap } from '../event/view.ts'
import type { ObjectSpec } from '../object/spec.ts'
import { unreadable } from '../sdk/source.ts'
import { verdictName } from '../spec/verdict.ts'
import type { Report } from './report/report.ts'
import { group } from './report/table.ts'

export interface CaptureJob {
  readonly file: string
  readonly engine: Engine
  readonly spec: ObjectSpec
  readonly cached: boolean
  /** `performance.now()` at which reading the source began. */
  readonly began: number
  readonly report: Report
  readonly pcap: string
}

/** LINKTYPE_ETHERNET: what an XDP program expects a packet to begin with. */
const ETHERNET = 1

/** Runs the whole capture and gives the exit status: 1 if the capture was cut short, and then says where. */
export async function runCaptureJob(job: CaptureJob): Promise<number> {
  const capture = readCapture(readFile(job.pcap))
  using collection = await job.engine.load(job.spec)
  const prog = packetProgram([...collection.progs.values()], job.file)
  const { report, file, engine, cached, pcap } = job
  report.started({ file, engine: engine.description, sources: [pcap], elapsed: performance.now() - job.began, cached })

  const streams = eventMaps(collection).map((map) => ({ map, ...typedEvents(collection, map) }))
  const started = performance.now()
  const verdicts = new Map<string, number>()
  let foreign = 0
  let broken: Diagnostic | undefined
  try {
    for (const packet of capture.packets) {
      if (packet.linkType !== ETHERNET) {
        foreign++
        continue
      }
      const { retval } = prog.run({ data: packet.data })
      const verdict = verdictName(prog.spec.type, retval)
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
      for (const { map, source, decode } of streams) {
        for (const record of source.drain()) report.event(map.spec.name, decode(record))
      }
    }
  } catch (error) {
    if (!(error instanceof Diagnostic)) throw error
    broken = error
  }
  if (foreign > 0) report.warn(`${group(foreign)} packets are not Ethernet and were left out`)
  report.maps(
    shownMaps(collection).map((map) => viewMap(collection, map)),
    true,
  )
  const events = streams.map(({ map, source }) => ({
    map: map.spec.name,
    received: source.received,
    lost: lostOf(collection, map),
  }))
  for (const { source } of streams) source.close()
  const reason = broken ? 'the capture is cut short' : 'the capture is read'
  report.ended({ reason, elapsed: (performance.now() - started) / 1000, verdicts, events })
  if (broken) throw broken
  return 0
}

/** The packets of a capture, each with whether an XDP program can take it. */
export function* ethernetPackets(pcap: string): Iterable<{ data: Uint8Array; ethernet: boolean }> {
  for (const { data, linkType } of readCapture(readFile(pcap)).packets) yield { data, ethernet: linkType === ETHERNET }
}

/** The program that packets go through. Throws a Diagnostic unless there is exactly one. */
export function packetProgram(progs: readonly Prog[], file: string): Prog {
  const packet = progs.filter(({ spec }) => spec.type === 'xdp')
  if (packet.length === 1) return packet[0]
  throw new Diagnostic({
    code: 'cli/no-packet-program',
    message:
      packet.length === 0
        ? `${file} has no XDP program for the packets of a capture`
        : `${file} has ${packet.length} XDP programs`,
    help:
      packet.length === 0 ? 'write one: export const onPacket = xdp((ctx) => XDP.PASS)' : 'keep one of them in a file',
  })
}

function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw unreadable(path, cause)
  }
}
