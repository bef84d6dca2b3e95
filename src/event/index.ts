export { decoder, encoder, formatValue, type Json, toJSON, type Value } from './decode.ts'
export { eventMaps, lostOf, type MapEntry, type MapView, shownMaps, typedEvents, viewMap } from './view.ts'
