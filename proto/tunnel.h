/* tunnel.h - raw octets to a database over an upgraded connection: GET /addons/ADDON/tunnel with
 * `Upgrade: paas-tunnel` and the API's token. After the 101 both sides' bytes are the database's
 * own protocol. */
#ifndef PROTO_TUNNEL_H
#define PROTO_TUNNEL_H

#define TUNNEL_UPGRADE "paas-tunnel"

#endif
