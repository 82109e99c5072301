/* hex.h - hexadecimal digits, either case. */
#ifndef PROTO_HEX_H
#define PROTO_HEX_H

/* 0 to 15; -1 = none. */
static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
