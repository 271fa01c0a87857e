/*
 * file.h
 *		Static files of one folder.
 */
#ifndef FILE_H
#define FILE_H

#include "http.h"
#include "url.h"

/* Answers a GET or HEAD with a file below options.files, or of the dashboard. */
extern void file_request(Http *http, const Url *url);

#endif
